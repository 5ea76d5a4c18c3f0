#include "bindings/inspect/http_figures.h"

#include "bindings/core/lua_runtime.h"
#include "bindings/http/request.h"
#include "bindings/inspect/series.h"
#include "http/routes.h"
#include "http/server.h"

#include <string.h>

/* Its address: the key in the registry of a table: pattern -> figures; and by these: */
static const char key;
enum { NONE = 0, OTHER = 1, COUNT = 2 };

/* Programs may make up the names of routes. */
enum { MOST_ROUTES = 1000 };

/* Classes of status by their first digit; 0: the request ended unanswered. */
enum { CLASSES = 6 };

static const char *const class_names[CLASSES] = {"none", "1xx", "2xx", "3xx", "4xx", "5xx"};

/* Upper bounds of durations. */
static const ml_time bounds[] = {ML_MILLISECOND,       5 * ML_MILLISECOND / 2,
                                 5 * ML_MILLISECOND,   10 * ML_MILLISECOND,
                                 25 * ML_MILLISECOND,  50 * ML_MILLISECOND,
                                 100 * ML_MILLISECOND, 250 * ML_MILLISECOND,
                                 500 * ML_MILLISECOND, ML_SECOND,
                                 5 * ML_SECOND / 2,    5 * ML_SECOND,
                                 10 * ML_SECOND};

enum { BOUNDS = sizeof bounds / sizeof *bounds };

struct route {
    uint64_t requests[ML_ROUTE_METHODS][CLASSES];
    uint64_t received, sent; /* bytes of bodies */
    uint64_t sum;            /* of the durations, in nanoseconds */
    uint64_t counts[BOUNDS + 1];
};

/* ---- counting ---- */

/* Protected: the table of figures, a pattern -> the figures of that route. */
static int add_route(lua_State *L)
{
    lua_rawgeti(L, 1, COUNT);
    lua_Integer count = lua_tointeger(L, -1);
    if (count >= MOST_ROUTES) {
        lua_rawgeti(L, 1, OTHER);
        return 1;
    }
    memset(lua_newuserdatauv(L, sizeof(struct route), 0), 0, sizeof(struct route));
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 1);
    lua_pushinteger(L, count + 1);
    lua_rawseti(L, 1, COUNT);
    return 1;
}

/* Pushes the figures of the request's route; nil: no memory for new ones. */
static void push_figures(lua_State *L, int request)
{
    lua_rawgetp(L, LUA_REGISTRYINDEX, &key);
    ml_request_push_route(L, request);
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_rawgeti(L, -2, NONE);
        return;
    }
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) != LUA_TNIL)
        return;
    lua_pushcfunction(L, add_route);
    lua_pushvalue(L, -4);
    lua_pushvalue(L, -4);
    if (lua_pcall(L, 2, 1, 0) != LUA_OK)
        lua_pushnil(L);
}

static unsigned class_of(int status)
{
    return status >= 100 && status <= 599 ? (unsigned)status / 100 : 0;
}

/* A connection that was taken over, by a WebSocket or a script, has no duration of an answer. */
static void add_duration(struct route *route, const struct ml_http_exchange *x)
{
    unsigned i = 0;
    if (x->phase == ML_HTTP_HIJACKED)
        return;
    ml_time span = ml_hub_now(x->server->io->hub) - x->began;
    while (i < BOUNDS && span > bounds[i])
        i++;
    route->counts[i]++;
    route->sum += span > 0 ? (uint64_t)span : 0;
}

/* lua->http.answered. */
static void on_answered(lua_State *L, const struct ml_http_exchange *x, int request)
{
    int top = lua_gettop(L);
    if (!lua_checkstack(L, LUA_MINSTACK))
        return;
    push_figures(L, request);
    struct route *route = lua_touserdata(L, -1);
    if (route != NULL) {
        const struct ml_http_head *head = &x->head;
        enum ml_route_method method =
            ml_route_method_by_name(ml_http_at(head, head->method), head->method.size);
        route->requests[method][class_of(x->status)]++;
        route->received += x->body_read;
        route->sent += x->body_sent;
        add_duration(route, x);
    }
    lua_settop(L, top);
}

/* ---- showing ---- */

static void set_count(lua_State *L, const char *name, uint64_t count)
{
    lua_pushinteger(L, (lua_Integer)count);
    lua_setfield(L, -2, name);
}

/* Pushes a list of {method, class, count}. */
static void push_requests(lua_State *L, const struct route *route)
{
    int n = 0;
    lua_newtable(L);
    for (int method = 0; method < ML_ROUTE_METHODS; method++)
        for (int class = 0; class < CLASSES; class ++) {
            if (route->requests[method][class] == 0)
                continue;
            lua_createtable(L, 3, 0);
            lua_pushstring(L, method == ML_ROUTE_ANY
                                  ? "other"
                                  : ml_route_method_name((enum ml_route_method)method));
            lua_rawseti(L, -2, 1);
            lua_pushstring(L, class_names[class]);
            lua_rawseti(L, -2, 2);
            lua_pushinteger(L, (lua_Integer)route->requests[method][class]);
            lua_rawseti(L, -2, 3);
            lua_rawseti(L, -2, ++n);
        }
}

/* Pushes a table for the route with that name, which is on top and goes. */
static void push_route(lua_State *L, const struct route *route)
{
    uint64_t total = 0;
    lua_createtable(L, 0, 7);
    lua_insert(L, -2);
    lua_setfield(L, -2, "route");
    push_requests(L, route);
    lua_setfield(L, -2, "requests");
    set_count(L, "received", route->received);
    set_count(L, "sent", route->sent);
    lua_createtable(L, BOUNDS + 1, 0);
    for (int i = 0; i <= BOUNDS; i++) {
        total += route->counts[i];
        lua_pushinteger(L, (lua_Integer)total);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "buckets");
    set_count(L, "count", total);
    lua_pushnumber(L, (double)route->sum / 1e9);
    lua_setfield(L, -2, "sum");
}

static void push_bounds(lua_State *L)
{
    lua_createtable(L, BOUNDS, 0);
    for (int i = 0; i < BOUNDS; i++) {
        lua_pushnumber(L, ml_time_to_seconds(bounds[i]));
        lua_rawseti(L, -2, i + 1);
    }
}

/* Pushes the table of figures, and begins to count if there is none yet. */
static void push_table(lua_State *L)
{
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &key) == LUA_TTABLE)
        return;
    lua_pop(L, 1);
    lua_newtable(L);
    for (int i = NONE; i <= OTHER; i++) {
        memset(lua_newuserdatauv(L, sizeof(struct route), 0), 0, sizeof(struct route));
        lua_rawseti(L, -2, i);
    }
    lua_pushinteger(L, 0);
    lua_rawseti(L, -2, COUNT);
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &key);
    ml_lua_of(L)->http.answered = on_answered;
}

/* Replaces the key of an entry, on top, by the name of the route. */
static void name_route(lua_State *L)
{
    if (lua_type(L, -1) == LUA_TSTRING)
        return;
    lua_pushstring(L, lua_tointeger(L, -1) == NONE ? "none" : "other");
    lua_replace(L, -2);
}

int ml_inspect_http(lua_State *L)
{
    int n = 0;
    lua_settop(L, 0);
    push_bounds(L);
    lua_newtable(L);
    push_table(L);
    for (lua_pushnil(L); lua_next(L, 3) != 0;) {
        const struct route *route = lua_touserdata(L, -1);
        lua_pop(L, 1);
        if (route == NULL)
            continue;
        lua_pushvalue(L, -1);
        name_route(L);
        push_route(L, route);
        lua_rawseti(L, 2, ++n);
    }
    lua_settop(L, 2);
    return 2;
}
