/*
 * The one list of libc's calls that the room answers: result, name, parameters, arguments. From it
 * come the table of libc's own functions, the prototypes of the cooperative ones, the exported
 * names, the table that people see, and the linker's options (cmake/interpose.cmake reads the names
 * here).
 */
#ifndef ML_INTERPOSE_CALLS_H
#define ML_INTERPOSE_CALLS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Calls that may wait. Moonlet's own rooms get libc's. */
#define ML_WAITING_CALLS(X)                                                                        \
    X(ssize_t, read, (int fd, void *buffer, size_t size), (fd, buffer, size))                      \
    X(ssize_t, write, (int fd, const void *data, size_t size), (fd, data, size))                   \
    X(ssize_t, readv, (int fd, const struct iovec *pieces, int count), (fd, pieces, count))        \
    X(ssize_t, writev, (int fd, const struct iovec *pieces, int count), (fd, pieces, count))       \
    X(ssize_t, recv, (int fd, void *buffer, size_t size, int flags), (fd, buffer, size, flags))    \
    X(ssize_t, recvfrom,                                                                           \
      (int fd, void *buffer, size_t size, int flags, __SOCKADDR_ARG from, socklen_t *length),      \
      (fd, buffer, size, flags, from, length))                                                     \
    X(ssize_t, recvmsg, (int fd, struct msghdr *message, int flags), (fd, message, flags))         \
    X(int, recvmmsg,                                                                               \
      (int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout),     \
      (fd, messages, count, flags, timeout))                                                       \
    X(ssize_t, send, (int fd, const void *data, size_t size, int flags), (fd, data, size, flags))  \
    X(ssize_t, sendto,                                                                             \
      (int fd, const void *data, size_t size, int flags, __CONST_SOCKADDR_ARG to,                  \
       socklen_t length),                                                                          \
      (fd, data, size, flags, to, length))                                                         \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *message, int flags), (fd, message, flags))   \
    X(int, sendmmsg, (int fd, struct mmsghdr *messages, unsigned count, int flags),                \
      (fd, messages, count, flags))                                                                \
    X(int, connect, (int fd, __CONST_SOCKADDR_ARG address, socklen_t length),                      \
      (fd, address, length))                                                                       \
    X(int, accept, (int fd, __SOCKADDR_ARG address, socklen_t *length), (fd, address, length))     \
    X(int, accept4, (int fd, __SOCKADDR_ARG address, socklen_t *length, int flags),                \
      (fd, address, length, flags))                                                                \
    X(int, poll, (struct pollfd * fds, nfds_t count, int timeout), (fds, count, timeout))          \
    X(int, ppoll,                                                                                  \
      (struct pollfd * fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask),   \
      (fds, count, timeout, mask))                                                                 \
    X(int, select,                                                                                 \
      (int count, fd_set *readable, fd_set *writable, fd_set *exceptional,                         \
       struct timeval *timeout),                                                                   \
      (count, readable, writable, exceptional, timeout))                                           \
    X(int, pselect,                                                                                \
      (int count, fd_set *readable, fd_set *writable, fd_set *exceptional,                         \
       const struct timespec *timeout, const sigset_t *mask),                                      \
      (count, readable, writable, exceptional, timeout, mask))                                     \
    X(int, epoll_wait, (int fd, struct epoll_event *events, int room, int timeout),                \
      (fd, events, room, timeout))                                                                 \
    X(int, epoll_pwait,                                                                            \
      (int fd, struct epoll_event *events, int room, int timeout, const sigset_t *mask),           \
      (fd, events, room, timeout, mask))                                                           \
    X(int, epoll_pwait2,                                                                           \
      (int fd, struct epoll_event *events, int room, const struct timespec *timeout,               \
       const sigset_t *mask),                                                                      \
      (fd, events, room, timeout, mask))                                                           \
    X(int, nanosleep, (const struct timespec *span, struct timespec *left), (span, left))          \
    X(int, clock_nanosleep,                                                                        \
      (clockid_t clock, int flags, const struct timespec *span, struct timespec *left),            \
      (clock, flags, span, left))                                                                  \
    X(int, usleep, (useconds_t span), (span))                                                      \
    X(unsigned, sleep, (unsigned span), (span))                                                    \
    X(int, getaddrinfo,                                                                            \
      (const char *name, const char *service, const struct addrinfo *hints,                        \
       struct addrinfo **found),                                                                   \
      (name, service, hints, found))                                                               \
    X(int, getnameinfo,                                                                            \
      (const struct sockaddr *address, socklen_t length, char *host, socklen_t host_room,          \
       char *service, socklen_t service_room, int flags),                                          \
      (address, length, host, host_room, service, service_room, flags))                            \
    X(struct hostent *, gethostbyname, (const char *name), (name))                                 \
    X(struct hostent *, gethostbyname2, (const char *name, int family), (name, family))            \
    X(struct hostent *, gethostbyaddr, (const void *address, socklen_t length, int family),        \
      (address, length, family))                                                                   \
    X(int, gethostbyname_r,                                                                        \
      (const char *name, struct hostent *host, char *buffer, size_t room, struct hostent **result, \
       int *error),                                                                                \
      (name, host, buffer, room, result, error))                                                   \
    X(int, gethostbyname2_r,                                                                       \
      (const char *name, int family, struct hostent *host, char *buffer, size_t room,              \
       struct hostent **result, int *error),                                                       \
      (name, family, host, buffer, room, result, error))                                           \
    X(int, gethostbyaddr_r,                                                                        \
      (const void *address, socklen_t length, int family, struct hostent *host, char *buffer,      \
       size_t room, struct hostent **result, int *error),                                          \
      (address, length, family, host, buffer, room, result, error))                                \
    X(pid_t, wait, (int *status), (status))                                                        \
    X(pid_t, waitpid, (pid_t pid, int *status, int options), (pid, status, options))               \
    X(pid_t, wait3, (int *status, int options, struct rusage *usage), (status, options, usage))    \
    X(pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage),                   \
      (pid, status, options, usage))                                                               \
    X(int, waitid, (idtype_t type, id_t id, siginfo_t * info, int options),                        \
      (type, id, info, options))                                                                   \
    X(int, flock, (int fd, int operation), (fd, operation))                                        \
    X(int, lockf, (int fd, int operation, off_t size), (fd, operation, size))                      \
    X(int, fsync, (int fd), (fd))                                                                  \
    X(int, fdatasync, (int fd), (fd))                                                              \
    X(int, pthread_mutex_lock, (pthread_mutex_t * mutex), (mutex))                                 \
    X(int, pthread_mutex_timedlock, (pthread_mutex_t * mutex, const struct timespec *until),       \
      (mutex, until))                                                                              \
    X(int, pthread_mutex_clocklock,                                                                \
      (pthread_mutex_t * mutex, clockid_t clock, const struct timespec *until),                    \
      (mutex, clock, until))                                                                       \
    X(int, pthread_rwlock_timedrdlock, (pthread_rwlock_t * lock, const struct timespec *until),    \
      (lock, until))                                                                               \
    X(int, pthread_rwlock_timedwrlock, (pthread_rwlock_t * lock, const struct timespec *until),    \
      (lock, until))                                                                               \
    X(int, pthread_rwlock_clockrdlock,                                                             \
      (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),                    \
      (lock, clock, until))                                                                        \
    X(int, pthread_rwlock_clockwrlock,                                                             \
      (pthread_rwlock_t * lock, clockid_t clock, const struct timespec *until),                    \
      (lock, clock, until))                                                                        \
    X(int, pthread_rwlock_rdlock, (pthread_rwlock_t * lock), (lock))                               \
    X(int, pthread_rwlock_wrlock, (pthread_rwlock_t * lock), (lock))

/* Calls that the Lua library makes for io and os, or that go together with those: files with a
 * buffer, and what the shell does. Lua is part of the program and shares its names, so that
 * moonlet's own rooms get these, too. */
#define ML_STDIO_CALLS(X)                                                                          \
    X(int, system, (const char *command), (command))                                               \
    X(FILE *, popen, (const char *command, const char *mode), (command, mode))                     \
    X(int, pclose, (FILE * file), (file))                                                          \
    X(int, rename, (const char *from, const char *to), (from, to))                                 \
    X(int, remove, (const char *path), (path))                                                     \
    X(FILE *, fopen, (const char *path, const char *mode), (path, mode))                           \
    X(FILE *, fopen64, (const char *path, const char *mode), (path, mode))                         \
    X(int, fclose, (FILE * file), (file))                                                          \
    X(int, fflush, (FILE * file), (file))                                                          \
    X(size_t, fread, (void *buffer, size_t size, size_t count, FILE *file),                        \
      (buffer, size, count, file))                                                                 \
    X(char *, fgets, (char *buffer, int room, FILE *file), (buffer, room, file))                   \
    X(ssize_t, getdelim, (char **line, size_t *room, int delimiter, FILE *file),                   \
      (line, room, delimiter, file))                                                               \
    X(ssize_t, getline, (char **line, size_t *room, FILE *file), (line, room, file))               \
    X(int, getc, (FILE * file), (file))                                                            \
    X(int, fgetc, (FILE * file), (file))                                                           \
    X(int, __uflow, (FILE * file), (file))                                                         \
    X(size_t, fwrite, (const void *data, size_t size, size_t count, FILE *file),                   \
      (data, size, count, file))                                                                   \
    X(int, fputs, (const char *text, FILE *file), (text, file))                                    \
    X(int, fputc, (int character, FILE *file), (character, file))                                  \
    X(int, putc, (int character, FILE *file), (character, file))                                   \
    X(int, __overflow, (FILE * file, int character), (file, character))                            \
    X(int, puts, (const char *text), (text))                                                       \
    X(int, vfprintf, (FILE * file, const char *format, va_list arguments),                         \
      (file, format, arguments))                                                                   \
    X(void, flockfile, (FILE * file), (file))                                                      \
    X(int, ftrylockfile, (FILE * file), (file))                                                    \
    X(void, funlockfile, (FILE * file), (file))                                                    \
    X(char *, strerror, (int error), (error))

/* Calls that never wait, but must be seen: they close a descriptor, take or free a lock, run code
 * inside one, or answer in a buffer of libc's that each task should have of its own. */
#define ML_WATCHED_CALLS(X)                                                                        \
    X(int, close, (int fd), (fd))                                                                  \
    X(int, dup2, (int from, int to), (from, to))                                                   \
    X(int, dup3, (int from, int to, int flags), (from, to, flags))                                 \
    X(int, pthread_mutex_trylock, (pthread_mutex_t * mutex), (mutex))                              \
    X(int, pthread_mutex_unlock, (pthread_mutex_t * mutex), (mutex))                               \
    X(int, pthread_rwlock_tryrdlock, (pthread_rwlock_t * lock), (lock))                            \
    X(int, pthread_rwlock_trywrlock, (pthread_rwlock_t * lock), (lock))                            \
    X(int, pthread_rwlock_unlock, (pthread_rwlock_t * lock), (lock))                               \
    X(int, pthread_once, (pthread_once_t * control, void (*routine)(void)), (control, routine))    \
    X(struct tm *, localtime, (const time_t *time), (time))                                        \
    X(struct tm *, gmtime, (const time_t *time), (time))                                           \
    X(char *, asctime, (const struct tm *tm), (tm))                                                \
    X(char *, ctime, (const time_t *time), (time))                                                 \
    X(char *, inet_ntoa, (struct in_addr address), (address))

#define ML_CALLS(X) ML_WAITING_CALLS(X) ML_STDIO_CALLS(X) ML_WATCHED_CALLS(X)

#define ML_UNPACK(...) __VA_ARGS__

/* libc's own functions: found behind this program in the order in which the dynamic linker looks.
 */
struct ml_libc {
    bool is_exported; /* the names are */
    /* The two below may know of files of children (interpose/child_file.h); these are libc's in any
     * case. */
    int (*plain_pclose)(FILE *file);
    int (*plain_fclose)(FILE *file);
// NOLINTNEXTLINE(bugprone-macro-parentheses): a type
#define ML_LIBC_MEMBER(type, name, parameters, arguments) type(*name) parameters;
    ML_CALLS(ML_LIBC_MEMBER)
#undef ML_LIBC_MEMBER
};

/* Written once, before the program's first constructor runs (interpose/exports.c); then it is a
 * constant. Where the names are not exported it stays as it is initialised: libc's. */
extern struct ml_libc ml_libc;

enum ml_libc_function {
#define ML_CALL_NUMBER(type, name, parameters, arguments) ML_LIBC_##name,
    ML_CALLS(ML_CALL_NUMBER)
#undef ML_CALL_NUMBER
        ML_LIBC_FUNCTION_COUNT
};

struct ml_libc_calls;

/* What each does when a task makes the call: results and errno as libc's; may suspend the task, not
 * its thread. */
#define ML_CO_PROTOTYPE(type, name, parameters, arguments)                                         \
    type ml_co_##name(struct ml_libc_calls *calls, ML_UNPACK parameters);
ML_CALLS(ML_CO_PROTOTYPE)
#undef ML_CO_PROTOTYPE

#endif
