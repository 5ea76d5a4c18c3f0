/*
 * What the modules of odd calls share (edges.c and its kin): what a scene has seen, as text, a
 * thread that acts meanwhile, and the module's table. A scene that is played in a task can so be
 * compared with one that libc plays itself.
 */
#ifndef ML_TESTS_SCENE_H
#define ML_TESTS_SCENE_H

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <linux/sockios.h>
#include <lua.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* ---- what a scene has seen ---- */

static __thread char seen[16384];

static inline void see(const char *format, ...)
{
    size_t length = strlen(seen);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(seen + length, sizeof seen - length, format, arguments);
    va_end(arguments);
}

/* A result, with errno if there is one. */
static inline void see_result(const char *name, long result)
{
    int error = errno;
    see("%s=%ld", name, result);
    if (result < 0)
        see("(%s)", strerrorname_np(error));
    see(" ");
}

/* A result, and errno whether the call has failed or not: a call that succeeds leaves it alone. */
#define SAW(name, call)                                                                            \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long saw_result = (long)(call);                                                            \
        int saw_error = errno;                                                                     \
        see("%s=%ld", name, saw_result);                                                           \
        see(saw_error != 0 ? "(%s) " : " ", strerrorname_np(saw_error));                           \
    } while (0)

/* ---- who acts meanwhile ---- */

/* Seconds that any event is waited for: generous, as they only end tests that fail. */
enum { PATIENCE = 30 };

static inline void wait_until(bool (*has_come)(int fd), int fd)
{
    time_t end = time(NULL) + PATIENCE;
    while (!has_come(fd)) {
        if (time(NULL) > end) {
            fputs("scene: waited in vain\n", stderr);
            abort();
        }
        usleep(100); /* until the next look */
    }
}

/* The other end of the socket has taken all that was sent. Of other files that is not known. */
static inline bool is_taken(int fd)
{
    int bytes;
    return ioctl(fd, SIOCOUTQ, &bytes) != 0 || bytes == 0;
}

/* The socket takes no more. */
static inline bool is_full(int fd)
{
    struct pollfd writable = {fd, POLLOUT, 0};
    return poll(&writable, 1, 0) == 0;
}

enum { PARTS = 4 };

struct helper {
    pthread_t thread;
    int fd;
    const char *parts[PARTS + 1]; /* each sent when what was sent before has been taken */
    useconds_t pause;             /* microseconds that go by before the second part, too */
    int closes;                   /* when all has been taken; -1: none */
};

static inline void *help(void *argument)
{
    struct helper *h = argument;
    usleep(20000); /* most likely the call waits by then: it gives the same if it does not */
    for (int i = 0; h->parts[i] != NULL; i++) {
        wait_until(is_taken, h->fd);
        if (i == 1)
            usleep(h->pause);
        if (send(h->fd, h->parts[i], strlen(h->parts[i]), 0) < 0 && errno == ENOTSOCK &&
            write(h->fd, h->parts[i], strlen(h->parts[i])) < 0)
            abort();
    }
    if (h->closes >= 0) {
        wait_until(is_taken, h->fd);
        close(h->closes);
    }
    return NULL;
}

/* The thread gets a helper of its own: one on the task's stack moves with it. */
static struct helper helping;

static inline void begin_help(const struct helper *h)
{
    helping = *h;
    if (pthread_create(&helping.thread, NULL, help, &helping) != 0)
        abort();
}

static inline void end_help(void)
{
    pthread_join(helping.thread, NULL);
}

/* A child that ends with `status` after so many microseconds, which is what its parent waits for.
 */
static inline pid_t child(useconds_t after, int status)
{
    pid_t pid = fork();
    if (pid == 0) {
        usleep(after);
        _exit(status);
    }
    return pid;
}

static inline void pair(int type, int fds[2])
{
    if (socketpair(AF_UNIX, type, 0, fds) != 0)
        abort();
}

static inline void close_both(const int fds[2])
{
    close(fds[0]);
    close(fds[1]);
}

static inline void stream_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    bind(listener, (struct sockaddr *)&address, length);
    listen(listener, 1);
    getsockname(listener, (struct sockaddr *)&address, &length);
    connect(fds[0], (struct sockaddr *)&address, length);
    fds[1] = accept(listener, NULL, NULL);
    close(listener);
}

/* ---- the module ---- */

/* Of a list X(scene), each a function without arguments. */
#define SCENE(name)                                                                                \
    static int l_##name(lua_State *L)                                                              \
    {                                                                                              \
        seen[0] = '\0';                                                                            \
        name();                                                                                    \
        lua_pushstring(L, seen);                                                                   \
        return 1;                                                                                  \
    }

#define SCENE_ENTRY(name) {#name, l_##name},

#define SCENE_MODULE(module, SCENES)                                                               \
    SCENES(SCENE)                                                                                  \
    int luaopen_##module(lua_State *L);                                                            \
    __attribute__((visibility("default"))) int luaopen_##module(lua_State *L)                      \
    {                                                                                              \
        static const luaL_Reg functions[] = {SCENES(SCENE_ENTRY){NULL, NULL}};                     \
        luaL_newlib(L, functions);                                                                 \
        return 1;                                                                                  \
    }

#endif
