/* Calls of libc that do not block, many in a row, as a C library makes them. For
 * bench/libc_calls.lua. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <lauxlib.h>
#include <lua.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct things {
    int socket[2], pipe[2], file;
    pthread_mutex_t mutex;
    char byte;
};

static void recv_peek(struct things *t)
{
    recv(t->socket[0], &t->byte, 1, MSG_PEEK);
}

static void read_socket(struct things *t)
{
    send(t->socket[1], &t->byte, 1, 0);
    recv(t->socket[0], &t->byte, 1, 0);
}

static void read_pipe(struct things *t)
{
    write(t->pipe[1], &t->byte, 1);
    read(t->pipe[0], &t->byte, 1);
}

static void read_file(struct things *t)
{
    read(t->file, &t->byte, 1);
}

static void poll_ready(struct things *t)
{
    struct pollfd ready = {.fd = t->socket[1], .events = POLLOUT};
    poll(&ready, 1, -1);
}

static void send_empty(struct things *t)
{
    recv(t->socket[1], &t->byte, 1, MSG_DONTWAIT);
}

static void lock(struct things *t)
{
    pthread_mutex_lock(&t->mutex);
    pthread_mutex_unlock(&t->mutex);
}

struct operation {
    const char *name;
    void (*run)(struct things *);
};

static const struct operation operations[] = {
    {"recv with data there", recv_peek},
    {"send and recv", read_socket},
    {"recv with MSG_DONTWAIT and nothing there", send_empty},
    {"poll of a ready descriptor", poll_ready},
    {"write and read of a pipe", read_pipe},
    {"read of a file", read_file},
    {"mutex lock and unlock", lock},
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

/* number of the operation, times -> nanoseconds each */
static int l_time(lua_State *L)
{
    struct things *t = lua_touserdata(L, lua_upvalueindex(1));
    const struct operation *operation = &operations[luaL_checkinteger(L, 1) - 1];
    lua_Integer times = luaL_checkinteger(L, 2);
    double start = now();
    for (lua_Integer i = 0; i < times; i++)
        operation->run(t);
    lua_pushnumber(L, (now() - start) / (double)times);
    return 1;
}

static int fail(lua_State *L)
{
    return luaL_error(L, "cannot open what is measured");
}

int luaopen_libc_calls(lua_State *L);
__attribute__((visibility("default"))) int luaopen_libc_calls(lua_State *L)
{
    enum { COUNT = sizeof operations / sizeof *operations };
    struct things *t = lua_newuserdatauv(L, sizeof *t, 0);
    *t = (struct things){.mutex = PTHREAD_MUTEX_INITIALIZER, .byte = 'x'};
    t->file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, t->socket) != 0 ||
        pipe2(t->pipe, O_CLOEXEC) != 0 || t->file < 0 || send(t->socket[1], "x", 1, 0) != 1)
        return fail(L);
    lua_pushcclosure(L, l_time, 1);
    lua_createtable(L, COUNT, 1);
    lua_insert(L, -2);
    lua_setfield(L, -2, "time");
    for (int i = 0; i < COUNT; i++) {
        lua_pushstring(L, operations[i].name);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}
