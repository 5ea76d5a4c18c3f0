#include "failing_calls.h"

#include <errno.h>
#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>

static _Thread_local struct {
    enum failing_call call;
    unsigned before; /* calls until the first that fails */
    unsigned count;  /* those that are still to fail */
    unsigned failed;
} plan;

void fail_calls(enum failing_call call, unsigned first, unsigned count)
{
    plan.call = call;
    plan.before = first - 1;
    plan.count = count;
    plan.failed = 0;
}

unsigned end_failing(void)
{
    plan.call = FAIL_NONE;
    return plan.failed;
}

static bool fails(enum failing_call call)
{
    if (plan.call != call || plan.count == 0)
        return false;
    if (plan.before > 0) {
        plan.before--;
        return false;
    }
    plan.count--;
    plan.failed++;
    errno = ENOMEM;
    return true;
}

/* The functions that are called when none fails, and those that are called first. */
#define REAL(result, name, parameters)                                                             \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;

REAL(void *, malloc, (size_t))
REAL(void *, calloc, (size_t, size_t))
REAL(void *, realloc, (void *, size_t))
REAL(void *, mmap, (void *, size_t, int, int, int, off_t))
REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

void *__wrap_malloc(size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fails(FAIL_MEMORY) ? NULL : __real_realloc(block, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fails(FAIL_MMAP))
        return MAP_FAILED;
    return __real_mmap(address, size, protection, flags, fd, offset);
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *argument)
{
    return fails(FAIL_THREAD) ? EAGAIN : __real_pthread_create(thread, attributes, run, argument);
}
