/*
 * libc's names, as C libraries find them: the dynamic linker looks into the program first, or into
 * a library that is loaded before libc. Outside of a task each goes straight on to libc. Part of no
 * other library, for whoever wants it; compiled without link-time optimisation, which would send
 * moonlet's own calls here, too: those go to
 * __wrap_..., which is libc (cmake/interpose.cmake).
 */
#include "interpose/exporter.h"

#undef fread_unlocked
#undef fwrite_unlocked

#define PUBLIC __attribute__((visibility("default")))

static struct ml_libc_calls *enter(enum ml_libc_function call, const void *caller,
                                   const void *frame)
{
    struct ml_libc_calls *calls = ml_exporter_current();
    if (calls != NULL)
        calls->entry = (struct ml_libc_call){call, caller, frame};
    return calls;
}

#define ENTER(name) enter(ML_LIBC_##name, __builtin_return_address(0), __builtin_frame_address(0))

/* The end of each: libc's, or what a task gets. */
#define ANSWER(name, arguments)                                                                    \
    struct ml_libc_calls *calls = ENTER(name);                                                     \
    return ml_likely(calls == NULL) ? ml_exporter_libc()->name arguments                           \
                                    : ml_exporter_co(name)(calls, ML_UNPACK arguments);

#define EXPORT(type, name, parameters, arguments)                                                  \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        ANSWER(name, arguments)                                                                    \
    }

ML_CALLS(EXPORT)

/* ---- the same calls under other names ---- */

#define ALIAS(type, alias, name, parameters, arguments)                                            \
    PUBLIC type alias parameters;                                                                  \
    PUBLIC type alias parameters                                                                   \
    {                                                                                              \
        ANSWER(name, arguments)                                                                    \
    }

ALIAS(ssize_t, __read, read, (int fd, void *buffer, size_t size), (fd, buffer, size))
ALIAS(ssize_t, __write, write, (int fd, const void *data, size_t size), (fd, data, size))
ALIAS(ssize_t, __send, send, (int fd, const void *data, size_t size, int flags),
      (fd, data, size, flags))
ALIAS(int, __connect, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t length),
      (fd, address, length))
ALIAS(int, __close, close, (int fd), (fd))
ALIAS(int, __dup2, dup2, (int from, int to), (from, to))
ALIAS(int, __poll, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))
ALIAS(int, __select, select,
      (int count, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *timeout),
      (count, readable, writable, exceptional, timeout))
ALIAS(int, __nanosleep, nanosleep, (const struct timespec *span, struct timespec *left),
      (span, left))
ALIAS(pid_t, __wait, wait, (int *status), (status))
ALIAS(pid_t, __waitpid, waitpid, (pid_t pid, int *status, int options), (pid, status, options))
ALIAS(int, lockf64, lockf, (int fd, int operation, off_t size), (fd, operation, size))
ALIAS(int, getchar, getc, (void), (stdin))
ALIAS(int, _IO_getc, getc, (FILE * file), (file))
ALIAS(int, _IO_putc, putc, (int character, FILE *file), (character, file))
ALIAS(int, putchar, putc, (int character), (character, stdout))
ALIAS(size_t, fread_unlocked, fread, (void *buffer, size_t size, size_t count, FILE *file),
      (buffer, size, count, file))
ALIAS(size_t, fwrite_unlocked, fwrite, (const void *data, size_t size, size_t count, FILE *file),
      (data, size, count, file))
ALIAS(int, fputs_unlocked, fputs, (const char *text, FILE *file), (text, file))
ALIAS(int, fflush_unlocked, fflush, (FILE * file), (file))
ALIAS(ssize_t, __getdelim, getdelim, (char **line, size_t *room, int delimiter, FILE *file),
      (line, room, delimiter, file))
ALIAS(int, vprintf, vfprintf, (const char *format, va_list arguments), (stdout, format, arguments))

/* ---- with variable arguments ---- */

static int print(struct ml_libc_calls *calls, FILE *file, const char *format, va_list arguments)
{
    return ml_likely(calls == NULL) ? ml_exporter_libc()->vfprintf(file, format, arguments)
                                    : ml_exporter_co(vfprintf)(calls, file, format, arguments);
}

#define PRINT(name, parameters, file)                                                              \
    PUBLIC int name parameters;                                                                    \
    PUBLIC int name parameters                                                                     \
    {                                                                                              \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        int result = print(ENTER(vfprintf), file, format, arguments);                              \
        va_end(arguments);                                                                         \
        return result;                                                                             \
    }

PRINT(printf, (const char *format, ...), stdout)
PRINT(fprintf, (FILE * file, const char *format, ...), file)

/* ---- those that check the size of a buffer (-D_FORTIFY_SOURCE) ---- */

/* glibc's own, declared in none of its headers: tells of a buffer overflow and aborts. */
extern _Noreturn void __chk_fail(void);

#define CHECKED(type, name, base, parameters, needed, arguments)                                   \
    PUBLIC type name parameters;                                                                   \
    PUBLIC type name parameters                                                                    \
    {                                                                                              \
        if ((needed) > room)                                                                       \
            __chk_fail();                                                                          \
        ANSWER(base, arguments)                                                                    \
    }

CHECKED(ssize_t, __read_chk, read, (int fd, void *buffer, size_t size, size_t room), size,
        (fd, buffer, size))
CHECKED(ssize_t, __recv_chk, recv, (int fd, void *buffer, size_t size, size_t room, int flags),
        size, (fd, buffer, size, flags))
CHECKED(ssize_t, __recvfrom_chk, recvfrom,
        (int fd, void *buffer, size_t size, size_t room, int flags, __SOCKADDR_ARG from,
         socklen_t *length),
        size, (fd, buffer, size, flags, from, length))
CHECKED(int, __poll_chk, poll, (struct pollfd * fds, nfds_t count, int timeout, size_t room),
        count * sizeof *fds, (fds, count, timeout))
CHECKED(int, __ppoll_chk, ppoll,
        (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask,
         size_t room),
        count * sizeof *fds, (fds, count, timeout, mask))
CHECKED(size_t, __fread_chk, fread,
        (void *buffer, size_t room, size_t size, size_t count, FILE *file), size *count,
        (buffer, size, count, file))
CHECKED(char *, __fgets_chk, fgets, (char *buffer, size_t room, int size, FILE *file),
        size > 0 ? (size_t)size : 0, (buffer, size, file))

PRINT(__printf_chk, (int level, const char *format, ...), ((void)level, stdout))
PRINT(__fprintf_chk, (FILE * file, int level, const char *format, ...), ((void)level, file))

PUBLIC int __vfprintf_chk(FILE *file, int level, const char *format, va_list arguments);
PUBLIC int __vfprintf_chk(FILE *file, int level, const char *format, va_list arguments)
{
    (void)level;
    return print(ENTER(vfprintf), file, format, arguments);
}
