#include "bindings/http/request_object.h"

#include "base/error.h"
#include "bindings/core/blocking.h"

#include <lauxlib.h>

const char ml_http_request_type[] = "http.request";

struct ml_lua_request *ml_push_request(lua_State *L, struct ml_http_exchange *x, int connection,
                                       int server)
{
    struct ml_lua_request *req =
        ml_push_bare_object(L, ml_http_request_type, sizeof *req, ML_REQUEST_VALUES);
    req->x = x;
    lua_getiuservalue(L, server, ML_SERVER_REQUESTS);
    lua_setmetatable(L, -2);
    lua_pushvalue(L, connection);
    lua_setiuservalue(L, -2, ML_REQUEST_CONNECTION);
    return req;
}

int ml_fail_exchange_over(lua_State *L)
{
    ml_blocking_share(L);
    return ml_push_exchange_over(L);
}

int ml_push_exchange_over(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "the request is over");
    lua_pushstring(L, ml_error_name(ML_ECLOSED));
    return 3;
}

void ml_request_keep(lua_State *L, struct ml_lua_request *req, int number)
{
    if (lua_getiuservalue(L, 1, ML_REQUEST_KEPT) != LUA_TTABLE) {
        lua_pop(L, 1);
        lua_createtable(L, 4, 0);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, 1, ML_REQUEST_KEPT);
    }
    lua_pushvalue(L, -2);
    lua_rawseti(L, -2, number + 1);
    lua_pop(L, 1);
    req->kept |= 1u << number;
}

void ml_request_push_kept(lua_State *L, int number)
{
    lua_getiuservalue(L, 1, ML_REQUEST_KEPT);
    lua_rawgeti(L, -1, number + 1);
    lua_remove(L, -2);
}
