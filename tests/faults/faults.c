/*
 * System calls and allocations that fail on purpose. In the build with -DML_FAULTS=ON the linker
 * sends every call that the project makes to one of these functions first.
 *
 * ML_FAULTS=seed[,one in N]: at random, what a program must bear without noticing: EINTR, EAGAIN
 * from a socket that is ready, reads and writes of fewer bytes, connections aborted before accept
 * and the process out of descriptors there.
 *
 * ML_FAULT=call,n,errno: the n-th call of that name (1: the first) fails with that number. Prints
 * "fault reached" on stderr when it does.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>

enum { ONE_IN = 8 };

/* One of each for a thread: two runtimes on two threads stay reproducible. */
static _Thread_local struct {
    bool is_read;        /* the environment was */
    uint64_t random;     /* 0: no random faults */
    unsigned one_in;     /* of random faults */
    char call[32];       /* that fails; "": none */
    unsigned long count; /* calls until then */
    int error;
} plan;

static void read_plan(void)
{
    const char *seed = getenv("ML_FAULTS");
    const char *fault = getenv("ML_FAULT");
    plan.is_read = true;
    plan.one_in = ONE_IN;
    if (seed != NULL && sscanf(seed, "%ju,%u", (uintmax_t *)&plan.random, &plan.one_in) >= 1)
        plan.random = plan.random * 0x9E3779B97F4A7C15u | 1;
    if (fault != NULL)
        sscanf(fault, "%31[a-z0-9_],%lu,%d", plan.call, &plan.count, &plan.error);
}

/* George Marsaglia, "Xorshift RNGs", 2003. */
static uint64_t next_random(void)
{
    plan.random ^= plan.random << 13;
    plan.random ^= plan.random >> 7;
    plan.random ^= plan.random << 17;
    return plan.random;
}

/* Whether this call is to be spoilt at random. */
static bool strikes(void)
{
    if (!plan.is_read)
        read_plan();
    return plan.random != 0 && next_random() % plan.one_in == 0;
}

/* Whether this is the call that the plan names: errno is set. */
static bool is_chosen(const char *call)
{
    static const char message[] = "fault reached\n";
    if (!plan.is_read)
        read_plan();
    if (plan.call[0] == '\0' || strcmp(plan.call, call) != 0 || --plan.count != 0)
        return false;
    plan.call[0] = '\0';
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
    errno = plan.error;
    return true;
}

static int fail_with(int error)
{
    errno = error;
    return -1;
}

/* Fewer bytes than were asked for, but not none. */
static size_t fewer(size_t size)
{
    return size > 1 && strikes() ? 1 + next_random() % (size - 1) : size;
}

/* The functions that are called when no fault strikes, and those that are called first. */
#define REAL(result, name, parameters)                                                             \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;

REAL(ssize_t, recv, (int, void *, size_t, int))
REAL(ssize_t, recvfrom, (int, void *, size_t, int, struct sockaddr *, socklen_t *))
REAL(ssize_t, recvmsg, (int, struct msghdr *, int))
REAL(ssize_t, send, (int, const void *, size_t, int))
REAL(ssize_t, sendto, (int, const void *, size_t, int, const struct sockaddr *, socklen_t))
REAL(ssize_t, sendmsg, (int, const struct msghdr *, int))
REAL(ssize_t, sendfile, (int, int, off_t *, size_t))
REAL(int, accept4, (int, struct sockaddr *, socklen_t *, int))
REAL(int, connect, (int, const struct sockaddr *, socklen_t))
REAL(int, socket, (int, int, int))
REAL(int, socketpair, (int, int, int, int[2]))
REAL(int, pipe2, (int[2], int))
REAL(int, bind, (int, const struct sockaddr *, socklen_t))
REAL(int, listen, (int, int))
REAL(int, shutdown, (int, int))
REAL(int, getsockname, (int, struct sockaddr *, socklen_t *))
REAL(int, getpeername, (int, struct sockaddr *, socklen_t *))
REAL(int, inotify_init1, (int))
REAL(int, inotify_add_watch, (int, const char *, uint32_t))
REAL(int, openat, (int, const char *, int, ...))
REAL(DIR *, fdopendir, (int))
REAL(struct dirent *, readdir, (DIR *))
REAL(int, fstatat, (int, const char *, struct stat *, int))
REAL(char *, realpath, (const char *, char *))
REAL(void *, malloc, (size_t))
REAL(void *, calloc, (size_t, size_t))
REAL(void *, realloc, (void *, size_t))
REAL(void *, mmap, (void *, size_t, int, int, int, off_t))

/* ---- files ---- */

/* A call of a file fails with the planned number, or is made. */
#define FILE_CALL(result, name, parameters, arguments)                                             \
    REAL(result, name, parameters)                                                                 \
    result __wrap_##name parameters                                                                \
    {                                                                                              \
        return is_chosen(#name) ? -1 : __real_##name arguments;                                    \
    }

FILE_CALL(ssize_t, read, (int fd, void *memory, size_t size), (fd, memory, size))
FILE_CALL(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))

FILE_CALL(ssize_t, pwrite, (int fd, const void *data, size_t size, off_t at), (fd, data, size, at))
FILE_CALL(int, fsync, (int fd), (fd))
FILE_CALL(int, ftruncate, (int fd, off_t size), (fd, size))
FILE_CALL(int, fchmod, (int fd, mode_t mode), (fd, mode))
FILE_CALL(int, mkdir, (const char *path, mode_t mode), (path, mode))
FILE_CALL(int, mkdirat, (int at, const char *path, mode_t mode), (at, path, mode))
FILE_CALL(int, rename, (const char *from, const char *to), (from, to))
FILE_CALL(int, renameat, (int at, const char *from, int there, const char *to),
          (at, from, there, to))
FILE_CALL(int, unlinkat, (int at, const char *path, int flags), (at, path, flags))
FILE_CALL(ssize_t, copy_file_range,
          (int from, off_t *at, int to, off_t *there, size_t size, unsigned flags),
          (from, at, to, there, size, flags))
FILE_CALL(ssize_t, getdents64, (int fd, void *memory, size_t size), (fd, memory, size))
FILE_CALL(ssize_t, preadv2, (int fd, const struct iovec *pieces, int count, off_t at, int flags),
          (fd, pieces, count, at, flags))

FILE_CALL(int, tcsetattr, (int fd, int when, const struct termios *settings), (fd, when, settings))
FILE_CALL(int, sigaction, (int number, const struct sigaction *action, struct sigaction *before),
          (number, action, before))

REAL(int, ioctl, (int, unsigned long, ...))

int __wrap_ioctl(int fd, unsigned long request, ...)
{
    va_list rest;
    va_start(rest, request);
    void *argument = va_arg(rest, void *);
    va_end(rest);
    return is_chosen("ioctl") ? -1 : __real_ioctl(fd, request, argument);
}

/* ---- children and threads ---- */

REAL(int, clone, (int (*)(void *), void *, int, void *, ...))

/* With the arguments of the only call that there is. */
int __wrap_clone(int (*body)(void *), void *stack, int flags, void *argument, ...)
{
    va_list rest;
    va_start(rest, argument);
    pid_t *parent = va_arg(rest, pid_t *);
    va_end(rest);
    return is_chosen("clone") ? -1 : __real_clone(body, stack, flags, argument, parent);
}

REAL(int, pthread_create, (pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *argument)
{
    return is_chosen("pthread_create") ? errno
                                       : __real_pthread_create(thread, attributes, body, argument);
}

/* ---- opening ---- */

REAL(int, open, (const char *, int, ...))

static mode_t mode_of(va_list rest, int flags)
{
    return (flags & (O_CREAT | O_TMPFILE)) != 0 ? va_arg(rest, mode_t) : 0;
}

int __wrap_open(const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(rest, flags);
    va_end(rest);
    return is_chosen("open") ? -1 : __real_open(path, flags, mode);
}

int __wrap_openat(int at, const char *path, int flags, ...)
{
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(rest, flags);
    va_end(rest);
    return is_chosen("openat") ? -1 : __real_openat(at, path, flags, mode);
}

/* ---- data ---- */

ssize_t __wrap_recv(int fd, void *memory, size_t size, int flags)
{
    if (is_chosen("recv"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    return __real_recv(fd, memory, fewer(size), flags);
}

/* A datagram that is read in part is lost in part: no fewer bytes here. */
ssize_t __wrap_recvfrom(int fd, void *memory, size_t size, int flags, struct sockaddr *address,
                        socklen_t *length)
{
    if (is_chosen("recvfrom"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    return __real_recvfrom(fd, memory, size, flags, address, length);
}

ssize_t __wrap_recvmsg(int fd, struct msghdr *message, int flags)
{
    if (is_chosen("recvmsg"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    return __real_recvmsg(fd, message, flags);
}

/* OpenSSL cannot hold back an alert until the socket is ready: one that is refused is lost, and the
 * peer sees only that the connection was cut. TLS 1.3 sends it as a record of 24 bytes like any
 * other. */
static bool is_alert(const unsigned char *data, size_t size)
{
    enum { ALERT = 21, APPLICATION_DATA = 23, ENCRYPTED_SIZE = 24 };
    return size > 5 &&
           (data[0] == ALERT || (data[0] == APPLICATION_DATA && size == ENCRYPTED_SIZE));
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
    if (is_chosen("send"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 || is_alert(data, size) ? EINTR : EAGAIN);
    return __real_send(fd, data, is_alert(data, size) ? size : fewer(size), flags);
}

ssize_t __wrap_sendto(int fd, const void *data, size_t size, int flags,
                      const struct sockaddr *address, socklen_t length)
{
    if (is_chosen("sendto"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    return __real_sendto(fd, data, size, flags, address, length);
}

/* Of several pieces a part of the first, unless a descriptor goes with them. */
ssize_t __wrap_sendmsg(int fd, const struct msghdr *message, int flags)
{
    if (is_chosen("sendmsg"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    size_t first = message->msg_iovlen > 0 ? message->msg_iov[0].iov_len : 0;
    size_t part = message->msg_control == NULL && message->msg_name == NULL ? fewer(first) : first;
    if (part == first)
        return __real_sendmsg(fd, message, flags);
    return __real_send(fd, message->msg_iov[0].iov_base, part, flags);
}

ssize_t __wrap_sendfile(int out, int in, off_t *offset, size_t count)
{
    if (is_chosen("sendfile"))
        return -1;
    if (strikes())
        return fail_with(next_random() % 2 ? EINTR : EAGAIN);
    return __real_sendfile(out, in, offset, fewer(count));
}

/* ---- connections ---- */

int __wrap_accept4(int fd, struct sockaddr *address, socklen_t *length, int flags)
{
    static const int errors[] = {EINTR, EAGAIN, ECONNABORTED, EMFILE};
    if (is_chosen("accept4"))
        return -1;
    if (strikes())
        return fail_with(errors[next_random() % 4]);
    return __real_accept4(fd, address, length, flags);
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    if (is_chosen("connect"))
        return -1;
    return __real_connect(fd, address, length);
}

int __wrap_socket(int family, int type, int protocol)
{
    return is_chosen("socket") ? -1 : __real_socket(family, type, protocol);
}

int __wrap_pipe2(int fds[2], int flags)
{
    return is_chosen("pipe2") ? -1 : __real_pipe2(fds, flags);
}

int __wrap_socketpair(int family, int type, int protocol, int ends[2])
{
    return is_chosen("socketpair") ? -1 : __real_socketpair(family, type, protocol, ends);
}

int __wrap_bind(int fd, const struct sockaddr *address, socklen_t length)
{
    return is_chosen("bind") ? -1 : __real_bind(fd, address, length);
}

int __wrap_listen(int fd, int backlog)
{
    return is_chosen("listen") ? -1 : __real_listen(fd, backlog);
}

int __wrap_shutdown(int fd, int how)
{
    return is_chosen("shutdown") ? -1 : __real_shutdown(fd, how);
}

int __wrap_getsockname(int fd, struct sockaddr *address, socklen_t *length)
{
    return is_chosen("getsockname") ? -1 : __real_getsockname(fd, address, length);
}

int __wrap_getpeername(int fd, struct sockaddr *address, socklen_t *length)
{
    return is_chosen("getpeername") ? -1 : __real_getpeername(fd, address, length);
}

/* ---- directories ---- */

int __wrap_inotify_init1(int flags)
{
    return is_chosen("inotify_init1") ? -1 : __real_inotify_init1(flags);
}

int __wrap_inotify_add_watch(int fd, const char *path, uint32_t mask)
{
    return is_chosen("inotify_add_watch") ? -1 : __real_inotify_add_watch(fd, path, mask);
}

DIR *__wrap_fdopendir(int fd)
{
    return is_chosen("fdopendir") ? NULL : __real_fdopendir(fd);
}

struct dirent *__wrap_readdir(DIR *stream)
{
    return is_chosen("readdir") ? NULL : __real_readdir(stream);
}

int __wrap_fstatat(int base, const char *path, struct stat *status, int flags)
{
    return is_chosen("fstatat") ? -1 : __real_fstatat(base, path, status, flags);
}

char *__wrap_realpath(const char *path, char *result)
{
    return is_chosen("realpath") ? NULL : __real_realpath(path, result);
}

/* ---- memory ---- */

void *__wrap_malloc(size_t size)
{
    return is_chosen("malloc") ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return is_chosen("calloc") ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return is_chosen("realloc") ? NULL : __real_realloc(block, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (is_chosen("mmap"))
        return MAP_FAILED;
    return __real_mmap(address, size, protection, flags, fd, offset);
}
