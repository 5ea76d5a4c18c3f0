/*
 * Calls of libpq that fail on purpose: LD_PRELOAD=libpq_faults.so ML_FAULT=libpq:call,n,errno. As
 * tests/faults/faults.c, for the calls that libpq makes, which are not linked with moonlet; for a
 * program that does not export these names itself, moonlet_faults.
 *
 * Not for sanitizers, which have a malloc() of their own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Exported by glibc for those that replace malloc(), and declared nowhere. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static char call[32]; /* that fails; "": none */
static atomic_long count;
static int error;

__attribute__((constructor)) static void read_plan(void)
{
    long number = 0;
    const char *plan = getenv("ML_FAULT");
    if (plan == NULL || sscanf(plan, "libpq:%31[a-z0-9_],%ld,%d", call, &number, &error) != 3)
        call[0] = '\0';
    count = number;
}

static bool is_libpq(const void *caller)
{
    Dl_info info;
    return dladdr(caller, &info) != 0 && strstr(info.dli_fname, "libpq.so") != NULL;
}

static bool is_chosen(const char *name, const void *caller)
{
    static const char message[] = "fault reached\n";
    if (call[0] == '\0' || strcmp(call, name) != 0 || !is_libpq(caller) ||
        atomic_fetch_sub(&count, 1) != 1)
        return false;
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
    errno = error;
    return true;
}

#define IS_CHOSEN(name) is_chosen(name, __builtin_return_address(0))

/* The same function of the libraries behind this one. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

void *malloc(size_t size)
{
    return IS_CHOSEN("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t number, size_t size)
{
    return IS_CHOSEN("calloc") ? NULL : __libc_calloc(number, size);
}

void *realloc(void *block, size_t size)
{
    return IS_CHOSEN("realloc") ? NULL : __libc_realloc(block, size);
}

ssize_t recv(int fd, void *bytes, size_t size, int flags)
{
    return IS_CHOSEN("recv") ? -1 : REAL(recv)(fd, bytes, size, flags);
}

/* The peer of a socket that refuses bytes is gone: libpq then reads its last words, up to the end.
 */
ssize_t send(int fd, const void *bytes, size_t size, int flags)
{
    if (!IS_CHOSEN("send"))
        return REAL(send)(fd, bytes, size, flags);
    shutdown(fd, SHUT_RDWR);
    errno = error;
    return -1;
}

int socket(int domain, int type, int protocol)
{
    return IS_CHOSEN("socket") ? -1 : REAL(socket)(domain, type, protocol);
}

int connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return IS_CHOSEN("connect") ? -1 : REAL(connect)(fd, address, size);
}

int poll(struct pollfd *fds, nfds_t number, int timeout)
{
    return IS_CHOSEN("poll") ? -1 : REAL(poll)(fds, number, timeout);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *size)
{
    return IS_CHOSEN("getsockopt") ? -1 : REAL(getsockopt)(fd, level, name, value, size);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size)
{
    return IS_CHOSEN("setsockopt") ? -1 : REAL(setsockopt)(fd, level, name, value, size);
}

int fcntl(int fd, int command, ...)
{
    va_list more;
    va_start(more, command);
    void *argument = va_arg(more, void *);
    va_end(more);
    return IS_CHOSEN("fcntl") ? -1 : REAL(fcntl)(fd, command, argument);
}
