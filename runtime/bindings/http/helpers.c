#include "bindings/http/helpers.h"

#include "http/accept_encoding.h"
#include "http/date.h"

#include <lauxlib.h>
#include <time.h>

/* date(seconds since 1970) -> as header fields have it. */
int ml_http_core_date(lua_State *L)
{
    char text[ML_HTTP_DATE_SIZE];
    ml_http_date_write(text, luaL_checkinteger(L, 1));
    lua_pushlstring(L, text, sizeof text);
    return 1;
}

/* parse_date(text) -> seconds since 1970; nil: it is no date. */
int ml_http_core_parse_date(lua_State *L)
{
    size_t size;
    int64_t seconds;
    const char *text = luaL_checklstring(L, 1, &size);
    if (ml_http_date_parse(text, size, (int64_t)time(NULL), &seconds))
        lua_pushinteger(L, seconds);
    else
        lua_pushnil(L);
    return 1;
}

/* cookie_date(text) -> seconds since 1970 of a cookie's date; nil: it is none. */
int ml_http_core_cookie_date(lua_State *L)
{
    size_t size;
    int64_t seconds;
    const char *text = luaL_checklstring(L, 1, &size);
    if (ml_http_cookie_date_parse(text, size, &seconds))
        lua_pushinteger(L, seconds);
    else
        lua_pushnil(L);
    return 1;
}

/* negotiate(the field accept-encoding, or nil, coding...) -> the coding of these that the peer
 * likes best; nil: none of them. */
int ml_http_core_negotiate(lua_State *L)
{
    enum { MOST = 4 };
    enum ml_coding offers[MOST];
    size_t size = 0;
    int count = lua_gettop(L) - 1;
    const char *field = luaL_optlstring(L, 1, NULL, &size);
    luaL_argcheck(L, count >= 0 && count <= MOST, 2, "too many codings");
    for (int i = 0; i < count; i++) {
        size_t name_size;
        const char *name = luaL_checklstring(L, i + 2, &name_size);
        offers[i] = ml_coding_by_name(name, name_size);
    }
    int chosen = field != NULL ? ml_coding_negotiate(field, size, offers, count) : -1;
    if (chosen > ML_CODING_IDENTITY)
        lua_pushstring(L, ml_coding_name((enum ml_coding)chosen));
    else
        lua_pushnil(L);
    return 1;
}
