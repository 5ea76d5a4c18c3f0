/*
 * Code of C libraries inside which no task may wait, as other tasks of the thread could need what
 * the code holds: static initialisers of C++, and callbacks of stdio. Exported as the names in
 * interpose/exports.c are.
 */
#include "interpose/exporter.h"
#include "interpose/no_wait.h"

#include <dlfcn.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdint.h>
#include <sys/syscall.h>

#define PUBLIC __attribute__((visibility("default")))

/* ---- C++: static variables of functions; others that need one wait on the thread ---- */

/*
 * The functions themselves, instead of calls on to those of a C++ runtime: if each library has
 * brought its own (-static-libstdc++), no name of theirs can be found. The bytes of the guard are
 * those of libstdc++ (Itanium C++ ABI 3.3.3): done, under way, waited for. So code with its own
 * copy of these functions can share guards with code that calls these.
 */
#define GUARD_BYTE(n)                                                                              \
    (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? 1 << 8 * (n) : 1 << (24 - 8 * (n)))

enum { GUARD_DONE = GUARD_BYTE(0), GUARD_PENDING = GUARD_BYTE(1), GUARD_AWAITED = GUARD_BYTE(2) };

static int *word_of(uint64_t *guard)
{
    return (int *)guard;
}

/* While another thread's initialiser runs: returns once the word has changed. */
static void await_guard(int *word, int seen)
{
    int saved = errno;
    bool is_noted = (seen & GUARD_AWAITED) != 0 ||
                    __atomic_compare_exchange_n(word, &seen, seen | GUARD_AWAITED, false,
                                                __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    if (is_noted)
        syscall(SYS_futex, word, FUTEX_WAIT, seen | GUARD_AWAITED, NULL);
    errno = saved;
}

/* Whether the caller must run the initialiser. False: it has been run. */
static bool acquire_guard(int *word)
{
    int seen = 0;
    while (!__atomic_compare_exchange_n(word, &seen, GUARD_PENDING, false, __ATOMIC_ACQ_REL,
                                        __ATOMIC_ACQUIRE)) {
        if ((seen & GUARD_DONE) != 0)
            return false;
        await_guard(word, seen);
        seen = 0;
    }
    return true;
}

static void leave_guard(uint64_t *guard, int state)
{
    struct ml_libc_calls *calls = ml_exporter_current();
    int saved = errno;
    int before = __atomic_exchange_n(word_of(guard), state, __ATOMIC_ACQ_REL);
    if ((before & GUARD_AWAITED) != 0)
        syscall(SYS_futex, word_of(guard), FUTEX_WAKE, INT_MAX);
    errno = saved;
    if (calls != NULL)
        ml_no_wait_leave(calls, guard);
}

PUBLIC int __cxa_guard_acquire(uint64_t *guard);
PUBLIC void __cxa_guard_release(uint64_t *guard);
PUBLIC void __cxa_guard_abort(uint64_t *guard);

PUBLIC int __cxa_guard_acquire(uint64_t *guard)
{
    struct ml_libc_calls *calls = ml_exporter_current();
    bool is_first = acquire_guard(word_of(guard));
    if (calls != NULL && is_first)
        ml_no_wait_enter(calls, guard, __builtin_frame_address(0));
    return is_first;
}

PUBLIC void __cxa_guard_release(uint64_t *guard)
{
    leave_guard(guard, GUARD_DONE);
}

PUBLIC void __cxa_guard_abort(uint64_t *guard)
{
    leave_guard(guard, 0);
}

/* ---- stdio's callbacks: libc holds the file's lock, and its buffer is in between ---- */

struct cookie {
    void *cookie;
    cookie_io_functions_t functions;
};

static struct ml_libc_calls *begin_callback(const struct cookie *cookie, const void *frame)
{
    struct ml_libc_calls *calls = ml_exporter_current();
    if (calls != NULL)
        ml_no_wait_enter(calls, cookie, frame);
    return calls;
}

static void end_callback(struct ml_libc_calls *calls, const struct cookie *cookie)
{
    if (calls != NULL)
        ml_no_wait_leave(calls, cookie);
}

static ssize_t read_cookie(void *cookie, char *buffer, size_t size)
{
    struct cookie *c = cookie;
    struct ml_libc_calls *calls = begin_callback(c, __builtin_frame_address(0));
    ssize_t result = c->functions.read(c->cookie, buffer, size);
    end_callback(calls, c);
    return result;
}

static ssize_t write_cookie(void *cookie, const char *data, size_t size)
{
    struct cookie *c = cookie;
    struct ml_libc_calls *calls = begin_callback(c, __builtin_frame_address(0));
    ssize_t result = c->functions.write(c->cookie, data, size);
    end_callback(calls, c);
    return result;
}

static int seek_cookie(void *cookie, off64_t *offset, int whence)
{
    struct cookie *c = cookie;
    struct ml_libc_calls *calls = begin_callback(c, __builtin_frame_address(0));
    int result = c->functions.seek(c->cookie, offset, whence);
    end_callback(calls, c);
    return result;
}

static int close_cookie(void *cookie)
{
    struct cookie *c = cookie;
    struct ml_libc_calls *calls = begin_callback(c, __builtin_frame_address(0));
    int result = c->functions.close != NULL ? c->functions.close(c->cookie) : 0;
    end_callback(calls, c);
    free(c);
    return result;
}

PUBLIC FILE *fopencookie(void *cookie, const char *mode, cookie_io_functions_t functions)
{
    FILE *(*real)(void *, const char *, cookie_io_functions_t) = dlsym(RTLD_NEXT, "fopencookie");
    struct cookie *c = malloc(sizeof *c);
    if (c == NULL)
        return NULL;
    *c = (struct cookie){cookie, functions};
    cookie_io_functions_t ours = {
        .read = functions.read != NULL ? read_cookie : NULL,
        .write = functions.write != NULL ? write_cookie : NULL,
        .seek = functions.seek != NULL ? seek_cookie : NULL,
        .close = close_cookie,
    };
    FILE *file = real(c, mode, ours);
    if (file == NULL)
        free(c);
    return file;
}
