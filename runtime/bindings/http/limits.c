#include "bindings/http/limits.h"

#include "bindings/core/failure.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/request_object.h"

#include <lauxlib.h>
#include <string.h>

lua_Integer ml_http_size_option(lua_State *L, int options, const char *name, lua_Integer otherwise)
{
    lua_Integer size = otherwise;
    if (lua_getfield(L, options, name) != LUA_TNIL) {
        if (!lua_isinteger(L, -1) || (size = lua_tointeger(L, -1)) <= 0)
            ml_raise_in_script(L, "option '%s' must be a positive integer", name);
    }
    lua_pop(L, 1);
    return size;
}

ml_time ml_http_span_option(lua_State *L, int options, const char *name, ml_time otherwise)
{
    ml_time span = otherwise;
    if (lua_getfield(L, options, name) != LUA_TNIL) {
        if (!lua_isnumber(L, -1) || !(lua_tonumber(L, -1) > 0))
            ml_raise_in_script(L, "option '%s' must be a positive number of seconds", name);
        span = ml_check_span(L, -1);
    }
    lua_pop(L, 1);
    return span;
}

bool ml_http_flag_option(lua_State *L, int options, const char *name, bool otherwise)
{
    bool flag = lua_getfield(L, options, name) == LUA_TNIL ? otherwise : lua_toboolean(L, -1);
    lua_pop(L, 1);
    return flag;
}

enum ml_http_on_gone ml_http_gone_option(lua_State *L, int options, enum ml_http_on_gone otherwise)
{
    enum ml_http_on_gone gone = otherwise;
    if (lua_getfield(L, options, "on_gone") != LUA_TNIL) {
        const char *name = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
        bool cancels = strcmp(name, "cancel") == 0;
        if (!cancels && strcmp(name, "ignore") != 0)
            ml_raise_in_script(L, "option 'on_gone' must be \"cancel\" or \"ignore\"");
        gone = cancels ? ML_HTTP_GONE_CANCEL : ML_HTTP_GONE_IGNORE;
    }
    lua_pop(L, 1);
    return gone;
}

/* core.limit(req, options): those of a route. */
int ml_http_core_limit(lua_State *L)
{
    struct ml_lua_request *req = ml_check_request(L, 1);
    struct ml_http_exchange *x = req->x;
    luaL_checktype(L, 2, LUA_TTABLE);
    if (x == NULL)
        return ml_push_exchange_over(L);
    x->max_body = (uint64_t)ml_http_size_option(L, 2, "max_body", (lua_Integer)x->max_body);
    x->read_timeout = ml_http_span_option(L, 2, "read_timeout", x->read_timeout);
    x->write_timeout = ml_http_span_option(L, 2, "write_timeout", x->write_timeout);
    if (x->version < 20)
        x->stream->write_timeout = x->write_timeout;
    x->on_gone = ml_http_gone_option(L, 2, x->on_gone);
    x->compresses = ml_http_flag_option(L, 2, "compress", x->compresses);
    x->carrier->heed(x);
    return 0;
}
