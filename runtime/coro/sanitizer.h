/*
 * Notes to AddressSanitizer, ThreadSanitizer and Valgrind about stacks and switches. Without them
 * each function here is empty. All three follow one stack per thread by its addresses, so under
 * them every coroutine gets a stack of its own: ml_tools_need_private_stacks().
 */
#ifndef ML_CORO_SANITIZER_H
#define ML_CORO_SANITIZER_H

#include <stdbool.h>
#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define ML_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ML_ASAN 1
#endif
#endif

#ifdef ML_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>

enum { ML_HAS_ASAN = 1 };

static inline void ml_sanitizer_leave(void **fake, const void *to_base, size_t to_size)
{
    __sanitizer_start_switch_fiber(fake, to_base, to_size);
}

static inline void ml_sanitizer_arrive(void *fake, const void **from_base, size_t *from_size)
{
    __sanitizer_finish_switch_fiber(fake, from_base, from_size);
}

static inline void ml_sanitizer_unpoison(const void *memory, size_t size)
{
    __asan_unpoison_memory_region(memory, size);
}
#else
enum { ML_HAS_ASAN = 0 };

static inline void ml_sanitizer_leave(void **fake, const void *to_base, size_t to_size)
{
    (void)fake, (void)to_base, (void)to_size;
}

static inline void ml_sanitizer_arrive(void *fake, const void **from_base, size_t *from_size)
{
    (void)fake, (void)from_base, (void)from_size;
}

static inline void ml_sanitizer_unpoison(const void *memory, size_t size)
{
    (void)memory, (void)size;
}
#endif

/* ThreadSanitizer follows the calls on each stack separately: a fiber. */
#if defined(__SANITIZE_THREAD__)
#define ML_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ML_TSAN 1
#endif
#endif

#ifdef ML_TSAN
#include <sanitizer/tsan_interface.h>

enum { ML_HAS_TSAN = 1 };

static inline void *ml_fiber_running(void)
{
    return __tsan_get_current_fiber();
}

/* A new fiber, in place of an old one (NULL: none) on which no coroutine runs. Abandoned frames
 * left their traces in the old one. */
static inline void *ml_fiber_renew(void *fiber)
{
    if (fiber != NULL)
        __tsan_destroy_fiber(fiber);
    return __tsan_create_fiber(0);
}

static inline void ml_fiber_free(void *fiber)
{
    if (fiber != NULL)
        __tsan_destroy_fiber(fiber);
}

/* Right before the switch. */
static inline void ml_fiber_enter(void *fiber)
{
    __tsan_switch_to_fiber(fiber, 0);
}
#else
enum { ML_HAS_TSAN = 0 };

static inline void *ml_fiber_running(void)
{
    return NULL;
}

static inline void *ml_fiber_renew(void *fiber)
{
    return fiber;
}

static inline void ml_fiber_free(void *fiber)
{
    (void)fiber;
}

static inline void ml_fiber_enter(void *fiber)
{
    (void)fiber;
}
#endif

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>

static inline unsigned ml_valgrind_register(const void *start, const void *end)
{
    return VALGRIND_STACK_REGISTER(start, end);
}

static inline void ml_valgrind_deregister(unsigned id)
{
    VALGRIND_STACK_DEREGISTER(id);
}

static inline bool ml_tools_need_private_stacks(void)
{
    return ML_HAS_ASAN || ML_HAS_TSAN || RUNNING_ON_VALGRIND;
}
#else
static inline unsigned ml_valgrind_register(const void *start, const void *end)
{
    (void)start, (void)end;
    return 0;
}

static inline void ml_valgrind_deregister(unsigned id)
{
    (void)id;
}

static inline bool ml_tools_need_private_stacks(void)
{
    return ML_HAS_ASAN || ML_HAS_TSAN;
}
#endif

#endif
