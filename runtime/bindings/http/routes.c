/* The router of moonlet.http: finds the route of each request's path, and calls its handler. */
#include "bindings/http/routes.h"

#include "bindings/http/limits.h"
#include "bindings/http/request.h"
#include "bindings/http/types.h"
#include "http/routes.h"

#include <limits.h>
#include <string.h>

static const char routes_type[] = "http.routes";

/* User value: the list of routes. */
enum { ROUTES = 1 };

/* A route is a list: its handler, its pattern, its options or false, the names of its parameters.
 */
enum { HANDLER = 1, PATTERN = 2, OPTIONS = 3, FIRST_NAME = 4 };

struct lua_routes {
    struct ml_routes routes;
    int count;
    bool has_middleware;
};

/* core.routes() -> an empty set of routes. */
int ml_http_core_routes(lua_State *L)
{
    ml_push_object(L, routes_type, sizeof(struct lua_routes), ROUTES);
    lua_newtable(L);
    lua_setiuservalue(L, -2, ROUTES);
    return 1;
}

static int routes_gc(lua_State *L)
{
    struct lua_routes *routes = ml_to_object(L, 1);
    ml_routes_release(&routes->routes);
    return 0;
}

/* ---- adding ---- */

/* A segment of a pattern: a text, or { name = , is_rest = }. Its value stays on the stack. */
static struct ml_route_segment to_segment(lua_State *L, int list, lua_Integer i)
{
    struct ml_route_segment segment = {ML_ROUTE_TEXT, NULL, 0};
    if (lua_rawgeti(L, list, i) == LUA_TSTRING) {
        segment.text = lua_tolstring(L, -1, &segment.size);
    } else {
        lua_getfield(L, -1, "is_rest");
        segment.kind = lua_toboolean(L, -1) ? ML_ROUTE_REST : ML_ROUTE_PARAMETER;
        lua_pop(L, 1);
    }
    return segment;
}

/* core.add_route(routes, method, segments, route) -> nil; or the route that has the method and the
 * pattern already. */
int ml_http_core_add_route(lua_State *L)
{
    struct lua_routes *routes = ml_check_object(L, 1, routes_type);
    size_t size;
    const char *name = luaL_checklstring(L, 2, &size);
    enum ml_route_method method = ml_route_method_by_name(name, size);
    luaL_checktype(L, 3, LUA_TTABLE);
    luaL_checktype(L, 4, LUA_TTABLE);
    int count = (int)lua_rawlen(L, 3);
    struct ml_route_segment *segments = lua_newuserdatauv(L, (size_t)count * sizeof *segments, 0);
    luaL_checkstack(L, count + LUA_MINSTACK, "too many segments");
    for (int i = 0; i < count; i++)
        segments[i] = to_segment(L, 3, i + 1);
    lua_getiuservalue(L, 1, ROUTES);
    lua_pushvalue(L, 4);
    lua_rawseti(L, -2, routes->count + 1);
    int there = ml_routes_add(&routes->routes, method, segments, (size_t)count, routes->count + 1);
    if (there < 0)
        return luaL_error(L, "not enough memory");
    routes->count += there == 0;
    if (there == 0)
        return 0;
    lua_rawgeti(L, -1, there);
    return 1;
}

/* ---- finding ---- */

static void push_value(lua_State *L, const struct ml_route_match *match, unsigned i)
{
    const char *data = match->values[i].data;
    size_t size = match->values[i].size;
    if (size == 0 || memchr(data, '%', size) == NULL) {
        lua_pushlstring(L, data, size);
        return;
    }
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, size);
    luaL_pushresultsize(&b, ml_route_value(data, size, out));
}

/* Pushes the names of the methods that would have matched, as a set. */
static void push_allowed(lua_State *L, unsigned allowed)
{
    lua_newtable(L);
    for (int i = 0; i < ML_ROUTE_METHODS; i++)
        if ((allowed & 1u << i) != 0) {
            lua_pushboolean(L, 1);
            lua_setfield(L, -2, ml_route_method_name((enum ml_route_method)i));
        }
}

/* Pushes a table of the parameters by their names. route: index of the route. */
static void push_params(lua_State *L, int route, const struct ml_route_match *match)
{
    lua_createtable(L, 0, (int)match->count);
    for (unsigned i = 0; i < match->count; i++) {
        lua_rawgeti(L, route, FIRST_NAME + i);
        push_value(L, match, i);
        lua_rawset(L, -3);
    }
}

/*
 * core.find_route(routes, method, path)
 *
 * - -> the route, its parameters;
 * - -> nil, the methods that would have matched, as a set.
 */
int ml_http_core_find_route(lua_State *L)
{
    const struct lua_routes *routes = ml_check_object(L, 1, routes_type);
    size_t name_size, size;
    const char *name = luaL_checklstring(L, 2, &name_size);
    const char *path = luaL_checklstring(L, 3, &size);
    struct ml_route_match match;
    ml_routes_find(&routes->routes, ml_route_method_by_name(name, name_size), path, size, &match);
    if (match.route == 0) {
        lua_pushnil(L);
        push_allowed(L, match.allowed);
        return 2;
    }
    lua_getiuservalue(L, 1, ROUTES);
    lua_rawgeti(L, -1, match.route);
    push_params(L, lua_gettop(L), &match);
    return 2;
}

/* ---- dispatching ---- */

/* Stack of a dispatch. */
enum { REQUEST = 1, RESPONSE, ROUTER, SET };

/* Calls the function in the upvalue with router, request and response. */
static int call_upvalue(lua_State *L, int upvalue)
{
    lua_pushvalue(L, lua_upvalueindex(upvalue));
    lua_pushvalue(L, ROUTER);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    lua_call(L, 3, LUA_MULTRET);
    return lua_gettop(L) - SET;
}

/* Stack: the route, the only value above SET. */
static int run_route(lua_State *L, const struct ml_route_match *match)
{
    int route = SET + 1;
    ml_request_set_route(L, route);
    if (match->count > 0) {
        push_params(L, route, match);
        ml_request_set_params(L);
    }
    if (lua_rawgeti(L, route, OPTIONS) == LUA_TTABLE) {
        lua_pushcfunction(L, ml_http_core_limit);
        lua_pushvalue(L, REQUEST);
        lua_pushvalue(L, -3);
        lua_call(L, 2, 0);
    }
    lua_settop(L, route);
    lua_rawgeti(L, route, HANDLER);
    lua_pushvalue(L, REQUEST);
    lua_pushvalue(L, RESPONSE);
    lua_call(L, 2, LUA_MULTRET);
    return lua_gettop(L) - route;
}

/* Upvalues: see ml_http_core_dispatcher(). Called as (router, req, res). */
static int dispatch(lua_State *L)
{
    struct ml_route_match match;
    lua_settop(L, 3);
    lua_rotate(L, 1, -1);
    lua_rawgeti(L, ROUTER, 1);
    const struct lua_routes *routes = ml_check_object(L, SET, routes_type);
    const struct ml_lua_request *req = ml_check_request(L, REQUEST);
    struct ml_http_slice path;
    if (routes->has_middleware && !lua_isnil(L, lua_upvalueindex(1)))
        return call_upvalue(L, 1);
    if (!ml_request_path(req, &path))
        return call_upvalue(L, 2);
    const struct ml_http_head *head = &req->x->head;
    enum ml_route_method method =
        ml_route_method_by_name(ml_http_at(head, head->method), head->method.size);
    ml_routes_find(&routes->routes, method, ml_http_at(head, path), path.size, &match);
    if (match.route == 0)
        return call_upvalue(L, 2);
    lua_getiuservalue(L, SET, ROUTES);
    lua_rawgeti(L, -1, match.route);
    lua_remove(L, -2);
    return run_route(L, &match);
}

/*
 * core.dispatcher(around, otherwise) -> the function (router, req, res) that calls the handler of
 * the request's route. router[1]: its routes.
 *
 * - around(router, req, res) is called instead if there is middleware; nil: never;
 * - otherwise(router, req, res) is called if no route matches, or if the path of the request
 *   differs from the path of its target.
 */
int ml_http_core_dispatcher(lua_State *L)
{
    lua_settop(L, 2);
    lua_pushcclosure(L, dispatch, 2);
    return 1;
}

/* core.surround(routes): from now on there is middleware. */
int ml_http_core_surround(lua_State *L)
{
    struct lua_routes *routes = ml_check_object(L, 1, routes_type);
    routes->has_middleware = true;
    return 0;
}

void ml_open_http_routes_type(lua_State *L)
{
    static const luaL_Reg methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__gc", routes_gc}, {NULL, NULL}};
    ml_open_object_type(L, routes_type, methods, metamethods);
}
