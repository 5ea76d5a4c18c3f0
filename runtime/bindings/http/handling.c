#include "bindings/http/handling.h"

#include "bindings/core/blocking.h"
#include "bindings/core/cancellation.h"
#include "bindings/core/object.h"
#include "bindings/core/report.h"
#include "bindings/http/headers.h"
#include "bindings/http/helpers.h"
#include "bindings/http/request.h"
#include "bindings/http/request_object.h"
#include "bindings/http/response.h"
#include "bindings/http/response_body.h"
#include "bindings/http/response_coding.h"
#include "bindings/http/response_send.h"
#include "bindings/http/tracing.h"
#include "bindings/http/types.h"
#include "http/http1_peer.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>
#include <strings.h>

/* Upon an error that is no cancellation: the error with a traceback, in a table. */
static int with_traceback(lua_State *L)
{
    if (ml_is_cancellation(L, 1))
        return 1;
    lua_createtable(L, 2, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    luaL_traceback(L, L, NULL, 1);
    lua_rawseti(L, 1, 2);
    return 1;
}

/* Stack: request, response and what the handler has returned: sends it. */
static int respond(lua_State *L)
{
    ml_respond(L);
    return 0;
}

/* Raises for the error of a call that has ended. */
static int fail(lua_State *L)
{
    return ml_blocking_end(L, (int)lua_tointeger(L, 1));
}

enum { REQUEST = ML_HANDLING_TRACEBACK + 1, RESPONSE };

static int fail_with(lua_State *L, int error)
{
    lua_settop(L, RESPONSE);
    lua_pushcfunction(L, fail);
    lua_pushinteger(L, error);
    return lua_pcall(L, 1, 0, ML_HANDLING_TRACEBACK);
}

/* Protected: sends the results above RESPONSE. */
static int answer(lua_State *L)
{
    int error = 0, results = lua_gettop(L) - RESPONSE;
    if (results == 1 && ml_response_send_plain(L, RESPONSE, RESPONSE + 1, &error))
        return ml_likely(error == 0) ? LUA_OK : fail_with(L, error);
    if (ml_unlikely(!lua_checkstack(L, LUA_MINSTACK)))
        return fail_with(L, -ENOMEM);
    lua_pushcfunction(L, respond);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    lua_rotate(L, RESPONSE + 1, 3);
    return lua_pcall(L, results + 2, 0, ML_HANDLING_TRACEBACK);
}

/* Calls the function at `function` with request, response and what is above those, and sends what
 * it returns. */
static int call(lua_State *L, int function)
{
    int more = lua_gettop(L) - RESPONSE;
    lua_pushvalue(L, function);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    if (more > 0)
        lua_rotate(L, RESPONSE + 1, 3);
    int status = lua_pcall(L, 2 + more, LUA_MULTRET, ML_HANDLING_TRACEBACK);
    return status == LUA_OK ? answer(L) : status;
}

/* Nothing leads to the exchange any more. */
static void detach(lua_State *L)
{
    struct ml_lua_request *req = ml_to_object(L, REQUEST);
    struct ml_lua_response *res = ml_to_object(L, RESPONSE);
    req->x = NULL;
    res->x = NULL;
    if (res->kind == ML_BODY_FILE || res->holds || res->is_coded)
        ml_response_release(L, RESPONSE);
}

/* Whether a field tells of the answer that was begun, not of all answers. Fields such as those of
 * CORS, a security policy or a request's number stay: browsers need them on failures, too. */
static bool is_of_answer(const struct ml_http_line *line)
{
    static const char *const names[] = {"accept-ranges", "age",     "cache-control",
                                        "etag",          "expires", "last-modified",
                                        "location",      "refresh", "set-cookie"};
    static const char content[] = "content-", policy[] = "content-security-policy";
    size_t size = line->name_size;
    if (size > sizeof content - 1 && strncasecmp(line->name, content, sizeof content - 1) == 0)
        return size < sizeof policy - 1 || strncasecmp(line->name, policy, sizeof policy - 1) != 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == size && strncasecmp(names[i], line->name, size) == 0)
            return true;
    return false;
}

/* Removes the fields that tell of the answer; allocates nothing. */
static void forget_fields(lua_State *L)
{
    struct ml_http_line line;
    lua_getiuservalue(L, RESPONSE, ML_RESPONSE_HEADERS);
    struct ml_http_headers *headers = ml_http_test_headers(L, -1);
    headers->is_sent = false;
    for (size_t at = 0; ml_http_headers_next(headers, &at, &line);)
        if (is_of_answer(&line)) {
            ml_http_headers_remove(headers, line.name, line.name_size);
            at = 0;
        }
    lua_pop(L, 1);
}

/* Forgets the answer that the failed handler had begun to describe, with its cookies and the like.
 */
static void forget_answer(lua_State *L)
{
    struct ml_lua_response *res = ml_to_object(L, RESPONSE);
    ml_response_release(L, RESPONSE);
    res->status = 0;
    res->kind = ML_BODY_UNSAID;
    res->type = NULL;
    res->has_trailers = res->is_coded = false;
    if (res->has_headers)
        forget_fields(L);
}

/* Reports what with_traceback() has left on top. */
static void report(lua_State *L)
{
    int problem = lua_gettop(L);
    lua_pushcfunction(L, ml_task_report);
    lua_rawgeti(L, problem, 1);
    lua_rawgeti(L, problem, 2);
    lua_pcall(L, 2, 0, 0);
}

/* What a failed request was to answer cannot be sent, for the reason on top, such as a header field
 * with a line break: that is reported. */
static int answer_plainly(lua_State *L)
{
    report(L);
    forget_answer(L);
    ((struct ml_lua_response *)ml_to_object(L, RESPONSE))->has_headers = false;
    lua_settop(L, RESPONSE);
    lua_pushinteger(L, 500);
    lua_pushliteral(L, "internal server error\n");
    return answer(L);
}

/* The handler has failed with what is on top: true if that is a cancellation, which stays there;
 * anything else is settled. An answer that was begun is cut off. */
static bool settle(lua_State *L, struct ml_http_exchange *x, intptr_t count)
{
    bool is_cancelled = ml_cancellation_is_raised(L, count);
    if (!is_cancelled) {
        if (x->phase == ML_HTTP_UNSENT)
            forget_answer(L);
        int status = call(L, ML_HANDLING_SETTLE);
        is_cancelled = status != LUA_OK && ml_cancellation_is_raised(L, count);
        if (status != LUA_OK && !is_cancelled && x->phase == ML_HTTP_UNSENT) {
            status = answer_plainly(L);
            is_cancelled = status != LUA_OK && ml_cancellation_is_raised(L, count);
        }
        if (status == LUA_OK)
            return false;
    }
    x->carrier->abort(x);
    return is_cancelled;
}

static const struct ml_lua_server *server_of(const struct ml_http_exchange *x)
{
    return ml_container_of(x->server, struct ml_lua_server, http);
}

/* As nginx has it: the request ended before there was an answer. */
enum { STATUS_UNANSWERED = 499 };

static void push_log(lua_State *L, const struct ml_http_exchange *x)
{
    ml_time span = ml_hub_now(x->server->io->hub) - x->began;
    lua_getiuservalue(L, ML_HANDLING_SERVER, ML_SERVER_LOG);
    lua_pushvalue(L, REQUEST);
    lua_pushinteger(L, x->status != 0 ? x->status : STATUS_UNANSWERED);
    lua_pushinteger(L, (lua_Integer)x->body_sent);
    lua_pushnumber(L, (lua_Number)span / ML_SECOND);
}

/* The access log. An error in it is reported, and changes no answer. True: the log's function was
 * cancelled, which is on top. */
static bool log_exchange(lua_State *L, const struct ml_http_exchange *x, intptr_t count)
{
    if (!server_of(x)->logs)
        return false;
    push_log(L, x);
    if (lua_pcall(L, 4, 0, ML_HANDLING_TRACEBACK) == LUA_OK)
        return false;
    if (ml_cancellation_is_raised(L, count))
        return true;
    report(L);
    return false;
}

/* The line of an exchange that was answered without a handler. Raises the cancellation of the log's
 * function. */
static __attribute__((noinline)) void log_refused(lua_State *L, struct ml_http_exchange *x)
{
    if (!server_of(x)->logs)
        return;
    struct ml_lua_request *req = ml_push_request(L, x, ML_HANDLING_CONNECTION, ML_HANDLING_SERVER);
    bool is_cancelled = log_exchange(L, x, ml_cancellation_count(L));
    req->x = NULL;
    if (is_cancelled)
        lua_error(L);
    lua_settop(L, ML_HANDLING_TRACEBACK);
}

static __attribute__((noinline)) void begin(lua_State *L, struct ml_http_connection *c,
                                            struct ml_http_exchange *x)
{
    if (ml_unlikely(ml_lua_of(L)->hub.trace != NULL))
        ml_http_trace_begin(L, x);
    x->compresses = server_of(x)->compresses;
    ml_push_request(L, x, ML_HANDLING_CONNECTION, ML_HANDLING_SERVER);
    ml_push_response(L, x, REQUEST, ML_HANDLING_SERVER);
    if (c != NULL)
        ml_http1_peer_guard(c);
}

/* The handler has ended, with `status`. */
static __attribute__((noinline)) void end(lua_State *L, struct ml_http_connection *c,
                                          struct ml_http_exchange *x, intptr_t count, int status)
{
    bool is_cancelled = status != LUA_OK && settle(L, x, count);
    bool has_left = c != NULL && ml_http1_peer_unguard(c);
    int top = lua_gettop(L);
    const struct ml_lua *lua = ml_lua_of(L);
    if (ml_unlikely(lua->http.answered != NULL))
        lua->http.answered(L, x, REQUEST);
    bool is_log_cancelled = log_exchange(L, x, ml_cancellation_count(L));
    if (is_cancelled)
        lua_settop(L, top);
    if (ml_unlikely(ml_lua_of(L)->hub.trace != NULL))
        ml_http_trace_end(L, x, REQUEST);
    detach(L);
    if (is_log_cancelled && !is_cancelled)
        lua_error(L);
    if (is_cancelled && !has_left)
        lua_error(L);
    lua_settop(L, ML_HANDLING_TRACEBACK);
}

/* While the handler waits, this frame stays: what is done before and after has frames of its own.
 */
static void handle(lua_State *L, struct ml_http_connection *c, struct ml_http_exchange *x)
{
    intptr_t count = ml_cancellation_count(L);
    begin(L, c, x);
    end(L, c, x, count, call(L, ML_HANDLING_HANDLER));
}

void ml_handling_push_functions(lua_State *L)
{
    lua_getiuservalue(L, ML_HANDLING_SERVER, ML_SERVER_HANDLER);
    lua_getiuservalue(L, ML_HANDLING_SERVER, ML_SERVER_SETTLE);
    lua_pushcfunction(L, with_traceback);
}

void ml_handle_exchange(lua_State *L, struct ml_http_connection *c, struct ml_http_exchange *x)
{
    if (ml_unlikely(x->is_refused))
        log_refused(L, x);
    else
        handle(L, c, x);
}
