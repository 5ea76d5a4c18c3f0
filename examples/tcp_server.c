/*
 * A TCP server in C whose handlers are Lua: each connection is a task of the script's function
 * handle(conn). What conn can do is the host's: read_line() and write() here, which wait as if they
 * blocked. Serves as many connections as its argument says, 1 without.
 */
#include "moonlet.h"

#include <arpa/inet.h>
#include <errno.h>
#include <lauxlib.h>
#include <lua.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define IDLE 30.0 /* seconds that a peer may be silent */

static const char handlers[] = "function handle(conn)\n"
                               "  conn:write('who are you?\\n')\n"
                               "  local name = conn:read_line()\n"
                               "  if name then conn:write('good day, ', name, '\\n') end\n"
                               "end\n";

struct conn {
    int fd;
};

static int conn_close(lua_State *L)
{
    struct conn *conn = luaL_checkudata(L, 1, "conn");
    if (conn->fd >= 0)
        close(conn->fd);
    conn->fd = -1;
    return 0;
}

/* Waits for the descriptor. False: the task was cancelled, and the caller returns; raises what else
 * goes wrong. */
static bool wait_for(lua_State *L, const struct conn *conn, int events)
{
    int error = moonlet_wait_fd(moonlet_of(L), conn->fd, events, IDLE);
    if (error < 0 && error != -ECANCELED)
        luaL_error(L, "%s", moonlet_error_text(error));
    return error >= 0;
}

/* conn:read_line(): a line without its end; nil at the end of the stream. */
static int conn_read_line(lua_State *L)
{
    const struct conn *conn = luaL_checkudata(L, 1, "conn");
    luaL_Buffer line;
    char c = 0;
    ssize_t count;
    luaL_buffinit(L, &line);
    bool goes_on = true;
    while (goes_on && c != '\n') {
        count = recv(conn->fd, &c, 1, MSG_DONTWAIT);
        if (count == 1 && c != '\n')
            luaL_addchar(&line, c);
        else if (count < 0 && errno == EAGAIN)
            goes_on = wait_for(L, conn, MOONLET_READABLE);
        else if (count != 1)
            goes_on = false;
    }
    luaL_pushresult(&line);
    if (c != '\n')
        lua_pushnil(L);
    return 1;
}

/* conn:write(...) */
static int conn_write(lua_State *L)
{
    const struct conn *conn = luaL_checkudata(L, 1, "conn");
    for (int i = 2; i <= lua_gettop(L); i++) {
        size_t size;
        const char *data = luaL_checklstring(L, i, &size);
        while (size > 0) {
            ssize_t count = send(conn->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
            if (count < 0 && errno != EAGAIN)
                return luaL_error(L, "cannot write");
            if (count < 0 && !wait_for(L, conn, MOONLET_WRITABLE))
                return 0;
            data += count > 0 ? count : 0;
            size -= count > 0 ? (size_t)count : 0;
        }
    }
    return 0;
}

static int open_conn(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read_line", conn_read_line}, {"write", conn_write}, {"close", conn_close}, {NULL, NULL}};
    luaL_newmetatable(L, "conn");
    luaL_setfuncs(L, methods, 0);
    lua_pushvalue(L, -1);
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, conn_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, conn_close);
    lua_setfield(L, -2, "__gc");
    return 0;
}

/* The task of a connection, in Lua: handle(conn), and conn is closed however that ends. Argument:
 * the descriptor. */
static int serve(lua_State *L)
{
    struct conn *conn = lua_newuserdatauv(L, sizeof *conn, 0);
    conn->fd = (int)luaL_checkinteger(L, 1);
    luaL_setmetatable(L, "conn");
    lua_toclose(L, -1);
    lua_getglobal(L, "handle");
    lua_pushvalue(L, -2);
    lua_call(L, 1, 0);
    return 0;
}

struct server {
    int fd;
    int connections;
};

static int accept_all(struct moonlet *m, void *argument)
{
    struct server *server = argument;
    while (server->connections > 0) {
        int error = moonlet_wait_fd(m, server->fd, MOONLET_READABLE, -1);
        if (error < 0)
            return error;
        int fd = accept(server->fd, NULL, NULL);
        if (fd < 0)
            continue;
        lua_State *L = moonlet_lua(m);
        lua_pushcfunction(L, serve);
        lua_pushinteger(L, fd);
        if (moonlet_spawn_lua(m, L, 1, NULL) != 0)
            close(fd);
        server->connections--;
    }
    return 0;
}

static int listen_on(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(server->fd, (struct sockaddr *)&address, size) != 0 || listen(server->fd, 128) != 0)
        return -1;
    getsockname(server->fd, (struct sockaddr *)&address, &size);
    printf("listening on port %d\n", ntohs(address.sin_port));
    return fflush(stdout);
}

int main(int argc, char **argv)
{
    struct server server = {.connections = argc > 1 ? atoi(argv[1]) : 1};
    struct moonlet *m = moonlet_create(NULL);
    if (m == NULL || listen_on(&server) != 0) {
        perror("tcp_server");
        return 1;
    }
    open_conn(moonlet_lua(m));
    lua_settop(moonlet_lua(m), 0);
    moonlet_load_string(m, handlers, "=handlers");
    moonlet_spawn(m, "server", accept_all, &server, NULL);
    int status = moonlet_run(m);
    moonlet_close(m);
    close(server.fd);
    return status;
}
