/*
 * Calls that fail on purpose in the program as it is, with the names of libc's that it exports:
 * LD_PRELOAD=preloaded_faults.so ML_FAULT=call,n,errno. As tests/faults/faults.c, for the calls
 * that the program moonlet itself makes, and not for those of libraries and of other programs.
 *
 * Not for sanitizers, which have a malloc() of their own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* Exported by glibc for those that replace malloc(), and declared nowhere. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *block, size_t size);

static char call[32]; /* that fails; "": none */
static atomic_long count;
static int error;
static uintptr_t begin, end; /* of the program in memory */

/* The program itself is the first. */
static int find_program(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    for (int i = 0; i < info->dlpi_phnum; i++)
        if (info->dlpi_phdr[i].p_type == PT_LOAD && (info->dlpi_phdr[i].p_flags & PF_X) != 0) {
            begin = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
            end = begin + info->dlpi_phdr[i].p_memsz;
        }
    return 1;
}

__attribute__((constructor)) static void read_plan(void)
{
    long number = 0;
    const char *plan = getenv("ML_FAULT");
    if (plan == NULL || strcmp(program_invocation_short_name, "moonlet") != 0)
        return;
    dl_iterate_phdr(find_program, NULL);
    if (sscanf(plan, "%31[a-z0-9_],%ld,%d", call, &number, &error) != 3)
        call[0] = '\0';
    count = number;
}

static bool is_chosen(const char *name, const void *caller)
{
    static const char message[] = "fault reached\n";
    bool is_ours = (uintptr_t)caller >= begin && (uintptr_t)caller < end;
    if (call[0] == '\0' || !is_ours || strcmp(call, name) != 0 || atomic_fetch_sub(&count, 1) != 1)
        return false;
    ssize_t written = write(STDERR_FILENO, message, sizeof message - 1);
    (void)written;
    errno = error;
    return true;
}

#define IS_CHOSEN(name) is_chosen(name, __builtin_return_address(0))

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

ssize_t preadv2(int fd, const struct iovec *pieces, int number, off_t offset, int flags)
{
    ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, "preadv2");
    return IS_CHOSEN("preadv2") ? -1 : real(fd, pieces, number, offset, flags);
}

int pipe2(int fds[2], int flags)
{
    int (*real)(int *, int) = dlsym(RTLD_NEXT, "pipe2");
    return IS_CHOSEN("pipe2") ? -1 : real(fds, flags);
}

int clone(int (*fn)(void *), void *stack, int flags, void *argument, ...)
{
    int (*real)(int (*)(void *), void *, int, void *, ...) = dlsym(RTLD_NEXT, "clone");
    va_list more;
    va_start(more, argument);
    void *number = va_arg(more, void *);
    va_end(more);
    return IS_CHOSEN("clone") ? -1 : real(fn, stack, flags, argument, number);
}
