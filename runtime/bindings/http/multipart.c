/*** @submodule moonlet.http */
/* What stdlib/moonlet/http/parts.lua is made of: the reader of multipart bodies. */
#include "bindings/http/multipart.h"
#include "bindings/core/failure.h"
#include "bindings/core/object.h"
#include "bindings/http/headers.h"
#include "http/multipart.h"
#include "http/syntax.h"

static const char parser_type[] = "http.multipart";

/* An unquoted parameter of a field's value, pushed, or nil. */
static void push_parameter(lua_State *L, const char *text, size_t size, const char *name)
{
    struct ml_http_text value;
    luaL_Buffer buffer;
    if (!ml_http_parameter(text, size, name, &value)) {
        lua_pushnil(L);
        return;
    }
    char *to = luaL_buffinitsize(L, &buffer, value.size);
    luaL_pushresultsize(&buffer, ml_http_unquote(value, to));
}

/* (a field's value, name of a parameter) -> its value or nil */
static int parameter(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    push_parameter(L, text, size, luaL_checkstring(L, 2));
    return 1;
}

/* (boundary, parts at most) -> parser; nil: it is no boundary */
static int new_parser(lua_State *L)
{
    size_t size;
    const char *boundary = luaL_checklstring(L, 1, &size);
    lua_Integer parts = luaL_checkinteger(L, 2);
    luaL_argcheck(L, parts >= 0 && parts <= INT32_MAX, 2, "out of range");
    struct ml_multipart *parser = ml_push_object(L, parser_type, sizeof *parser, 0);
    if (!ml_multipart_begin(parser, boundary, size, (uint32_t)parts))
        lua_pushnil(L);
    return 1;
}

/*
 * (parser, bytes, from) -> from where the next call goes on, event, value: "part", its headers;
 * "data", a string; "part_end"; "end"; nothing: more bytes are needed. Or nil, message, code.
 */
static int next_event(lua_State *L)
{
    struct ml_multipart *parser = ml_check_object(L, 1, parser_type);
    size_t size, taken;
    const char *bytes = luaL_checklstring(L, 2, &size);
    lua_Integer from = luaL_checkinteger(L, 3);
    luaL_argcheck(L, from >= 1 && (size_t)from <= size + 1, 3, "out of range");
    bytes += from - 1;
    int event = ml_multipart_next(parser, bytes, size - (size_t)(from - 1), &taken);
    if (event < 0)
        return ml_push_failure(L, event);
    lua_pushinteger(L, from + (lua_Integer)taken);
    switch (event) {
    case ML_MULTIPART_PART:
        lua_pushliteral(L, "part");
        ml_http_push_headers(L, &parser->head);
        return 3;
    case ML_MULTIPART_DATA:
        lua_pushliteral(L, "data");
        lua_pushlstring(L, bytes + parser->data.at, parser->data.size);
        return 3;
    case ML_MULTIPART_MORE:
        return 1;
    default:
        lua_pushstring(L, event == ML_MULTIPART_END ? "end" : "part_end");
        return 2;
    }
}

int ml_open_http_multipart(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"parser", new_parser}, {"next", next_event}, {"parameter", parameter}, {NULL, NULL}};
    static const luaL_Reg none[] = {{NULL, NULL}};
    ml_open_object_type(L, parser_type, none, none);
    luaL_newlib(L, functions);
    return 1;
}
