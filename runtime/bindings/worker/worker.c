/*** @submodule moonlet.worker */
#include "bindings/worker/worker.h"

#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/lua_worker.h"
#include "bindings/http/types.h"
#include "bindings/worker/descriptor.h"
#include "bindings/worker/messages.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- what beats tell ---- */

static void measure(struct ml_worker_client *client, struct ml_control_beat *beat)
{
    const struct ml_lua_worker *worker = client->owner;
    const struct ml_lua_http *http = &worker->lua->http;
    beat->connections = worker->accepted;
    beat->requests = http->requests;
    for (const struct ml_lua_server *server = http->servers; server != NULL;
         server = server->next) {
        beat->requests += server->http.counters.requests;
        beat->open += (uint64_t)server->http.counters.open;
    }
}

/* ---- requests ---- */

/* Sends a request without a payload and waits. 0: the reply is there; it has to be freed. */
static int ask(lua_State *L, enum ml_control_type type, struct ml_worker_reply **reply)
{
    struct ml_lua *lua = ml_blocking_begin(L);
    int error = lua->worker != NULL
                    ? ml_worker_request(lua->worker->client, type, NULL, 0, reply, ML_FOREVER)
                    : -ENOTCONN;
    return ml_blocking_end(L, error);
}

/* Stack: ..., a light userdata, the reply. Protected: pushes its text. */
static int push_text(lua_State *L)
{
    const struct ml_worker_reply *reply = lua_touserdata(L, 1);
    lua_pushlstring(L, ml_buffer_data(&reply->text), ml_buffer_size(&reply->text));
    return 1;
}

/* Pushes what `push` finds in a reply, which is freed; raises for want of memory. Returns its
 * error.
 */
static int take(lua_State *L, struct ml_worker_reply *reply, lua_CFunction push)
{
    int error = reply->error;
    lua_pushcfunction(L, push);
    lua_pushlightuserdata(L, reply);
    int status = lua_pcall(L, 1, 1, 0);
    ml_worker_reply_free(reply);
    if (status != LUA_OK)
        lua_error(L);
    return error;
}

/* request(name) -> the text of the reply; nil, message, code. */
static int request(lua_State *L)
{
    static const char *const names[] = {"status", "reload", "stop", NULL};
    static const enum ml_control_type types[] = {ML_CONTROL_STATUS, ML_CONTROL_RELOAD,
                                                 ML_CONTROL_STOP};
    struct ml_worker_reply *reply;
    enum ml_control_type type = types[luaL_checkoption(L, 1, NULL, names)];
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    int error = ask(L, type, &reply);
    if (error != 0)
        return ml_push_failure(L, error);
    error = take(L, reply, push_text);
    if (error == 0)
        return 1;
    ml_push_failure(L, error);
    if (lua_rawlen(L, -4) > 0) { /* the master says why */
        lua_pushvalue(L, -4);
        lua_replace(L, -3);
    }
    return 3;
}

/* ready(): the worker serves. */
static int ready(lua_State *L)
{
    ml_lua_worker_serves(ml_lua_of(L));
    return 0;
}

/* place() -> id, count, generation; nothing outside of a worker. */
static int place(lua_State *L)
{
    const struct ml_lua_worker *worker = ml_lua_of(L)->worker;
    if (worker == NULL)
        return 0;
    lua_pushinteger(L, worker->client->place.slot);
    lua_pushinteger(L, worker->client->place.count);
    lua_pushinteger(L, worker->client->place.generation);
    return 3;
}

/* close_sockets() -> how many shared sockets were open: they are closed. */
static int close_sockets(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_pushinteger(L, lua->worker != NULL ? ml_lua_worker_close_sockets(lua) : 0);
    return 1;
}

/* count_sockets() -> how many shared sockets are open. */
static int count_sockets(lua_State *L)
{
    const struct ml_lua *lua = ml_lua_of(L);
    lua_pushinteger(L, lua->worker != NULL ? ml_lua_worker_count_sockets(lua) : 0);
    return 1;
}

/* ---- metrics ---- */

struct figures_file {
    const char *text;
    size_t size;
};

/* Sends a word with a file. 0 or a negated errno. */
static int tell_file(struct ml_worker_client *client, enum ml_control_type type,
                     const void *payload, size_t size, const struct figures_file *what)
{
    int file = memfd_create("moonlet.figures", MFD_CLOEXEC), error = 0;
    if (file < 0)
        return -errno;
    if (write(file, what->text, what->size) == (ssize_t)what->size)
        error = ml_worker_tell_with(client, type, payload, size, file);
    close(file);
    return error;
}

/* answer_figures(number, text): this worker's metrics, a line, that the master has asked for; 0:
 * unasked. */
static int answer_figures(lua_State *L)
{
    const struct ml_lua_worker *worker = ml_lua_of(L)->worker;
    size_t size;
    uint64_t number = (uint64_t)luaL_checknumber(L, 1);
    const char *text = luaL_checklstring(L, 2, &size);
    const struct figures_file file = {.text = text, .size = size};
    if (worker != NULL)
        tell_file(worker->client, ML_CONTROL_FIGURES, &number, sizeof number, &file);
    return 0;
}

/* put_together(retired, epoch, text): a line in place of those of workers that are gone. */
static int put_together(lua_State *L)
{
    const struct ml_lua_worker *worker = ml_lua_of(L)->worker;
    size_t size;
    const struct ml_control_figures of = {.retired = (uint64_t)luaL_checkinteger(L, 1),
                                          .epoch = (uint64_t)luaL_checkinteger(L, 2)};
    const char *text = luaL_checklstring(L, 3, &size);
    const struct figures_file file = {.text = text, .size = size};
    if (worker != NULL)
        tell_file(worker->client, ML_CONTROL_RETIRED, &of, sizeof of, &file);
    return 0;
}

/* Pushes what is in the file, which several processes read. */
static void push_file(lua_State *L, int file)
{
    struct stat status;
    luaL_Buffer buffer;
    size_t size = fstat(file, &status) == 0 ? (size_t)status.st_size : 0;
    char *room = luaL_buffinitsize(L, &buffer, size);
    ssize_t count = pread(file, room, size, 0);
    luaL_pushresultsize(&buffer, count > 0 ? (size_t)count : 0);
}

/* Stack: ..., a light userdata, the reply. Protected: pushes a list: what is in its file; how many
 * bytes at the end are of workers that are gone; the epoch of these. */
static int push_figures(lua_State *L)
{
    const struct ml_worker_reply *reply = lua_touserdata(L, 1);
    struct ml_control_figures of = {0};
    if (ml_buffer_size(&reply->text) >= sizeof of)
        memcpy(&of, ml_buffer_data(&reply->text), sizeof of);
    lua_createtable(L, 3, 0);
    push_file(L, reply->fd_count > 0 ? reply->fds[0] : -1);
    lua_rawseti(L, -2, 1);
    lua_pushinteger(L, (lua_Integer)of.retired);
    lua_rawseti(L, -2, 2);
    lua_pushinteger(L, (lua_Integer)of.epoch);
    lua_rawseti(L, -2, 3);
    return 1;
}

/* figures() -> a list: the lines of all workers, a line "-", and those of workers that have not
 * answered or are gone; of how many bytes the latter are, and their epoch; or nil, message, code.
 */
static int figures(lua_State *L)
{
    struct ml_worker_reply *reply;
    luaL_checkstack(L, LUA_MINSTACK, NULL);
    int error = ask(L, ML_CONTROL_FIGURES, &reply);
    if (error != 0)
        return ml_push_failure(L, error);
    error = take(L, reply, push_figures);
    return error == 0 ? 1 : ml_push_failure(L, error);
}

/* interrupt(): the program is to end, as by SIGTERM. */
static int interrupt(lua_State *L)
{
    (void)L;
    kill(getpid(), SIGTERM);
    return 0;
}

void ml_worker_measure(struct ml_lua *lua)
{
    if (lua->worker != NULL)
        lua->worker->client->measure = measure;
}

int ml_open_worker(lua_State *L)
{
    static const luaL_Reg functions[] = {{"request", request},
                                         {"ready", ready},
                                         {"place", place},
                                         {"close_sockets", close_sockets},
                                         {"count_sockets", count_sockets},
                                         {"interrupt", interrupt},
                                         {"figures", figures},
                                         {"answer_figures", answer_figures},
                                         {"put_together", put_together},
                                         {NULL, NULL}};
    luaL_newlib(L, functions);
    ml_worker_add_messages(L);
    ml_worker_add_descriptors(L);
    return 1;
}
