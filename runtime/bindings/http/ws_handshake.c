/* Functions of moonlet.websocket.core for stdlib/moonlet/websocket.lua: options, and the parts of
 * the handshakes that are written in C. */
#include "bindings/http/ws_handshake.h"

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/failure.h"
#include "bindings/core/time_limit.h"
#include "bindings/http/headers.h"
#include "bindings/net/stream_object.h"
#include "http/codecs.h"

#include <string.h>

/* ---- options ---- */

static lua_Integer size_option(lua_State *L, int index, const char *name, lua_Integer otherwise)
{
    lua_getfield(L, index, name);
    if (!lua_isnil(L, -1) && (!lua_isinteger(L, -1) || lua_tointeger(L, -1) < 1))
        luaL_error(L, "option '%s' must be a positive integer", name);
    lua_Integer size = lua_isnil(L, -1) ? otherwise : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return size;
}

static ml_time interval_option(lua_State *L, int index)
{
    lua_getfield(L, index, "ping_interval");
    if (!lua_isnil(L, -1) && (!lua_isboolean(L, -1) || lua_toboolean(L, -1)) &&
        (!lua_isnumber(L, -1) || !(lua_tonumber(L, -1) > 0)))
        luaL_error(L, "option 'ping_interval' must be a positive number, or false");
    ml_time span = lua_isnil(L, -1)       ? ML_WEBSOCKET_DEFAULTS.ping_interval
                   : lua_isboolean(L, -1) ? ML_FOREVER
                                          : ml_check_span(L, lua_gettop(L));
    lua_pop(L, 1);
    return span;
}

/* Reads an integer option of the table at `index`. */
static lua_Integer number_option(lua_State *L, int index, const char *name, lua_Integer otherwise,
                                 lua_Integer min, lua_Integer max)
{
    lua_getfield(L, index, name);
    bool is_right = lua_isnil(L, -1) || (lua_isinteger(L, -1) && lua_tointeger(L, -1) >= min &&
                                         lua_tointeger(L, -1) <= max);
    if (!is_right)
        luaL_error(L, "option 'compression': '%s' must be an integer from %d to %d", name, (int)min,
                   (int)max);
    lua_Integer number = lua_isnil(L, -1) ? otherwise : lua_tointeger(L, -1);
    lua_pop(L, 1);
    return number;
}

static bool takeover_option(lua_State *L, int index)
{
    lua_getfield(L, index, "context_takeover");
    if (!lua_isnil(L, -1) && !lua_isboolean(L, -1))
        luaL_error(L, "option 'compression': 'context_takeover' must be a boolean");
    bool is_on = lua_isnil(L, -1) || lua_toboolean(L, -1);
    lua_pop(L, 1);
    return is_on;
}

static void check_compression_names(lua_State *L, int index)
{
    static const char *const names[] = {"level", "window_bits", "min_size", "context_takeover"};
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        bool is_known = false;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            is_known = is_known || (lua_type(L, -2) == LUA_TSTRING &&
                                    strcmp(lua_tostring(L, -2), names[i]) == 0);
        if (!is_known)
            luaL_error(L, "option 'compression': unknown option '%s'", luaL_tolstring(L, -2, NULL));
    }
}

bool ml_ws_check_compression(lua_State *L, int index, struct ml_ws_compression *c)
{
    *c = ML_WS_COMPRESSION_DEFAULTS;
    lua_getfield(L, index, "compression");
    int at = lua_gettop(L);
    if (!lua_isnil(L, at) && !lua_isboolean(L, at) && !lua_istable(L, at))
        luaL_error(L, "option 'compression' must be a boolean or a table");
    bool is_on = lua_toboolean(L, at);
    if (lua_istable(L, at)) {
        check_compression_names(L, at);
        c->level = (uint8_t)number_option(L, at, "level", c->level, 1, 9);
        c->window_bits = (uint8_t)number_option(L, at, "window_bits", c->window_bits,
                                                ML_WS_WINDOW_MIN + 1, ML_WS_WINDOW_MAX);
        c->min_size = (uint32_t)number_option(L, at, "min_size", c->min_size, 0, INT32_MAX);
        c->no_takeover = !takeover_option(L, at);
    }
    lua_settop(L, at - 1);
    return is_on;
}

struct ml_websocket_options ml_ws_check_options(lua_State *L, int index)
{
    struct ml_websocket_options options = ML_WEBSOCKET_DEFAULTS;
    luaL_checktype(L, index, LUA_TTABLE);
    options.max_message =
        (size_t)size_option(L, index, "max_message", (lua_Integer)options.max_message);
    options.max_queue = (size_t)size_option(L, index, "max_queue", (lua_Integer)options.max_queue);
    options.ping_interval = interval_option(L, index);
    return options;
}

/* ---- compression ---- */

/* check(options): raises for wrong options. */
static int check(lua_State *L)
{
    struct ml_ws_compression c;
    ml_ws_check_options(L, 1);
    ml_ws_check_compression(L, 1, &c);
    return 0;
}

static int push_terms(lua_State *L, const struct ml_ws_terms *terms)
{
    char text[ML_WS_TERMS_SIZE];
    lua_pushlstring(L, text, ml_ws_write_terms(text, terms));
    return 1;
}

/* Whether the option is on, and zlib is here. */
static bool can_compress(lua_State *L, int index, struct ml_ws_compression *c)
{
    return ml_ws_check_compression(L, index, c) && ml_codecs_zlib(&ml_lua_of(L)->io) != NULL;
}

/* offer(options) -> the field of a client's request, or nil. */
static int offer(lua_State *L)
{
    struct ml_ws_compression c;
    if (!can_compress(L, 1, &c))
        return 0;
    struct ml_ws_terms terms = ml_ws_offer(&c);
    return push_terms(L, &terms);
}

/*
 * accept(options, field)
 *
 * - -> the field of a server's answer;
 * - -> nil: no extension;
 * - -> false: `field` is malformed.
 */
static int accept_offer(lua_State *L)
{
    struct ml_ws_compression c = ML_WS_COMPRESSION_DEFAULTS;
    struct ml_ws_terms terms;
    size_t size;
    const char *field = luaL_checklstring(L, 2, &size);
    bool is_on = can_compress(L, 1, &c);
    int result = ml_ws_accept_offer(&c, field, size, &terms);
    if (result > 0 && is_on)
        return push_terms(L, &terms);
    lua_pushnil(L);
    if (result < 0)
        lua_pushboolean(L, 0);
    return 1;
}

/* agrees(options, field) -> whether the field is a valid answer to our offer. */
static int agrees(lua_State *L)
{
    struct ml_ws_compression c;
    struct ml_ws_terms terms;
    size_t size;
    const char *field = luaL_checklstring(L, 2, &size);
    lua_pushboolean(L, can_compress(L, 1, &c) && ml_ws_read_answer(&c, field, size, &terms) == 0);
    return 1;
}

/* ---- the answer to a client ---- */

enum { FIELDS = 100 };

/* Receives one whole response, which stays at the front of the input. Returns its size or an
 * error. */
static int receive_head(struct ml_stream *s, struct ml_http_head *head, const char **why,
                        ml_time deadline)
{
    struct ml_http_limits limits = ML_HTTP_LIMITS_DEFAULT;
    size_t seen = 0;
    int result = 0, parsed = 0;
    while (result == 0 && parsed == 0) {
        size_t size = ml_buffer_size(&s->in);
        if (size > seen)
            parsed = ml_http_parse_response(head, ml_buffer_data(&s->in), size, seen, &limits);
        seen = size;
        if (parsed == 0)
            result = ml_stream_receive_more(s, deadline);
    }
    if (parsed < 0)
        *why = ml_http_error_text(parsed);
    return parsed < 0 ? -EPROTO : result == 1 ? -ML_EEOF : result < 0 ? result : parsed;
}

/* response(stream, timeout) -> status, headers; or nil, message, code. */
static int response(lua_State *L)
{
    struct ml_stream *stream = ml_check_stream(L, 1);
    ml_time deadline = ml_check_deadline(L, 2);
    struct ml_http_field *fields = lua_newuserdatauv(L, FIELDS * sizeof *fields, 0);
    struct ml_http_head head;
    const char *why = NULL;
    ml_http_head_init(&head, fields, FIELDS);
    ml_blocking_begin(L);
    int size = ml_blocking_end(L, receive_head(stream, &head, &why, deadline));
    if (size < 0) {
        ml_push_stream_failure(L, stream, size);
        if (why != NULL) {
            lua_pushfstring(L, "bad response: %s", why);
            lua_replace(L, -3);
        }
        return 3;
    }
    lua_pushinteger(L, head.status);
    struct ml_http_headers *headers = ml_http_push_new_headers(L, head.field_count, (uint32_t)size);
    if (!ml_stream_is_open(stream))
        return ml_push_failure(L, -ML_ECLOSED);
    ml_http_headers_fill(headers, &head, (size_t)size);
    ml_stream_consume(stream, (size_t)size);
    return 2;
}

void ml_ws_add_handshake(lua_State *L)
{
    static const luaL_Reg functions[] = {{"check", check},         {"offer", offer},
                                         {"accept", accept_offer}, {"agrees", agrees},
                                         {"response", response},   {NULL, NULL}};
    luaL_setfuncs(L, functions, 0);
}
