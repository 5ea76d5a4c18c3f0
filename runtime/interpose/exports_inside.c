/*
 * Code of C libraries inside which no task may wait, as others of its thread could need what it holds: static
 * initialisers of C++ and callbacks of stdio. Exported as the names in interpose/exports.c are.
 */
#include "interpose/exporter.h"
#include "interpose/inside.h"

#include <dlfcn.h>
#include <stdint.h>

#define PUBLIC __attribute__((visibility("default")))

/* ---- C++: static variables of functions; others that need one wait on the thread ---- */

struct guards {
    int (*acquire)(uint64_t *guard);
    void (*release)(uint64_t *guard);
    void (*abort)(uint64_t *guard);
};

/* Of the C++ runtime in the process, which may have come with any library. */
static struct guards find_guards(void)
{
    void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        library = dlopen("libc++abi.so.1", RTLD_LAZY | RTLD_NOLOAD);
    void *where = library != NULL ? library : RTLD_NEXT;
    struct guards guards = {
        .acquire = (int (*)(uint64_t *))dlsym(where, "__cxa_guard_acquire"),
        .release = (void (*)(uint64_t *))dlsym(where, "__cxa_guard_release"),
        .abort = (void (*)(uint64_t *))dlsym(where, "__cxa_guard_abort"),
    };
    if (guards.acquire == NULL || guards.release == NULL || guards.abort == NULL)
        abort();
    if (library != NULL)
        dlclose(library); /* whoever calls these functions keeps it */
    return guards;
}

PUBLIC int __cxa_guard_acquire(uint64_t *guard);
PUBLIC void __cxa_guard_release(uint64_t *guard);
PUBLIC void __cxa_guard_abort(uint64_t *guard);

PUBLIC int __cxa_guard_acquire(uint64_t *guard)
{
    struct ml_foreign *f = ml_exporter_current();
    int is_first = find_guards().acquire(guard);
    if (f != NULL && is_first)
        ml_inside_enter(f, guard, __builtin_frame_address(0));
    return is_first;
}

static void leave_guard(const uint64_t *guard)
{
    struct ml_foreign *f = ml_exporter_current();
    if (f != NULL)
        ml_inside_leave(f, guard);
}

PUBLIC void __cxa_guard_release(uint64_t *guard)
{
    find_guards().release(guard);
    leave_guard(guard);
}

PUBLIC void __cxa_guard_abort(uint64_t *guard)
{
    find_guards().abort(guard);
    leave_guard(guard);
}

/* ---- stdio's callbacks: libc holds the file's lock, and its buffer is in between ---- */

struct cookie {
    void *cookie;
    cookie_io_functions_t functions;
};

static struct ml_foreign *begin_callback(const struct cookie *cookie, const void *frame)
{
    struct ml_foreign *f = ml_exporter_current();
    if (f != NULL)
        ml_inside_enter(f, cookie, frame);
    return f;
}

static void end_callback(struct ml_foreign *f, const struct cookie *cookie)
{
    if (f != NULL)
        ml_inside_leave(f, cookie);
}

static ssize_t read_cookie(void *cookie, char *buffer, size_t size)
{
    struct cookie *c = cookie;
    struct ml_foreign *f = begin_callback(c, __builtin_frame_address(0));
    ssize_t result = c->functions.read(c->cookie, buffer, size);
    end_callback(f, c);
    return result;
}

static ssize_t write_cookie(void *cookie, const char *data, size_t size)
{
    struct cookie *c = cookie;
    struct ml_foreign *f = begin_callback(c, __builtin_frame_address(0));
    ssize_t result = c->functions.write(c->cookie, data, size);
    end_callback(f, c);
    return result;
}

static int seek_cookie(void *cookie, off64_t *offset, int whence)
{
    struct cookie *c = cookie;
    struct ml_foreign *f = begin_callback(c, __builtin_frame_address(0));
    int result = c->functions.seek(c->cookie, offset, whence);
    end_callback(f, c);
    return result;
}

static int close_cookie(void *cookie)
{
    struct cookie *c = cookie;
    struct ml_foreign *f = begin_callback(c, __builtin_frame_address(0));
    int result = c->functions.close != NULL ? c->functions.close(c->cookie) : 0;
    end_callback(f, c);
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
