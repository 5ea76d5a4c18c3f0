/***
URLs: their parts, references, percent-encoding, queries. By RFC 3986.

@module moonlet.url
*/
#include "bindings/data/url.h"

#include "base/error.h"
#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "http/percent.h"
#include "http/url.h"
#include "http/url_write.h"

#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char url_type[] = "url";

/* A result of url.parse(). The parts are slices of the text. */
struct url_object {
    struct ml_url parts;
    size_t size;
    char text[];
};

const char *ml_check_url_text(lua_State *L, int index, size_t *size)
{
    struct url_object *url = ml_test_object(L, index, url_type);
    if (url == NULL)
        return luaL_checklstring(L, index, size);
    *size = url->size;
    return url->text;
}

/* ---- failures ---- */

static int push_failure(lua_State *L, const char *what, const struct ml_url_error *error)
{
    luaL_pushfail(L);
    lua_pushfstring(L, "%s: %s (byte %I)", what, error->reason, (lua_Integer)error->at + 1);
    lua_pushstring(L, ml_error_name(ML_EURL));
    return 3;
}

static int push_bad_escape(lua_State *L)
{
    luaL_pushfail(L);
    lua_pushliteral(L, "bad percent-encoding: \"%\" must come before two hexadecimal digits");
    lua_pushstring(L, ml_error_name(ML_EURL));
    return 3;
}

/* ---- parsing ---- */

/***
A URL, or a relative reference. It cannot be changed, prints as its text, and equals another one of
the same text. A part that is not there is nil, one that is there and empty is "". Parts are not
decoded: `url.decode` does that. Scheme and host are in lower case; nothing else is changed.
@object Url
@tfield ?string scheme "https"; nil in a relative reference
@tfield ?string user the text before the first ":" of "name:password@"
@tfield ?string password the text after it
@tfield ?string host a name, or an address, that of IPv6 without its brackets; nil without "//"
@tfield ?integer port nil if the text has none
@tfield string path "" if there is none
@tfield ?string query without its "?"
@tfield ?string fragment without its "#"
*/

static struct ml_slice user_of(const struct ml_url *url)
{
    struct ml_slice user = url->userinfo;
    const char *colon = user.data != NULL ? memchr(user.data, ':', user.size) : NULL;
    if (colon != NULL)
        user.size = (size_t)(colon - user.data);
    return user;
}

static struct ml_slice password_of(const struct ml_url *url)
{
    struct ml_slice user = user_of(url), password = {0};
    if (user.size < url->userinfo.size) {
        password.data = user.data + user.size + 1;
        password.size = url->userinfo.size - user.size - 1;
    }
    return password;
}

static struct ml_slice part_of(const struct ml_url *url, const char *name)
{
    const struct {
        const char *name;
        struct ml_slice part;
    } parts[] = {{"scheme", url->scheme},    {"user", user_of(url)}, {"password", password_of(url)},
                 {"host", url->host},        {"path", url->path},    {"query", url->query},
                 {"fragment", url->fragment}};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strcmp(parts[i].name, name) == 0)
            return parts[i].part;
    return (struct ml_slice){0};
}

static int url_index(lua_State *L)
{
    const struct url_object *url = ml_check_object(L, 1, url_type);
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    struct ml_slice part = part_of(&url->parts, name);
    if (strcmp(name, "port") == 0 && url->parts.port_number >= 0)
        lua_pushinteger(L, url->parts.port_number);
    else if (part.data != NULL)
        lua_pushlstring(L, part.data, part.size);
    else
        lua_pushnil(L);
    return 1;
}

static int url_newindex(lua_State *L)
{
    return luaL_error(L, "a URL cannot be changed");
}

static int url_tostring(lua_State *L)
{
    const struct url_object *url = ml_check_object(L, 1, url_type);
    lua_pushlstring(L, url->text, url->size);
    return 1;
}

static int url_eq(lua_State *L)
{
    const struct url_object *a = ml_test_object(L, 1, url_type);
    const struct url_object *b = ml_test_object(L, 2, url_type);
    lua_pushboolean(L, a != NULL && b != NULL && a->size == b->size &&
                           memcmp(a->text, b->text, a->size) == 0);
    return 1;
}

/* A URL beside a text: one text. */
static int url_concat(lua_State *L)
{
    luaL_tolstring(L, 1, NULL);
    luaL_tolstring(L, 2, NULL);
    lua_concat(L, 2);
    return 1;
}

/* Pushes the URL, in lower case where case does not matter. The text of a parsed URL parses again,
 * and is no longer then. */
static void push_url(lua_State *L, const struct ml_url *parts, size_t size)
{
    struct ml_url_error error;
    struct url_object *url = ml_push_object(L, url_type, sizeof *url + size, 0);
    url->size = ml_url_write(parts, url->text);
    int result = ml_url_parse(url->text, url->size, &url->parts, &error);
    ML_CHECK(result == 0);
}

/***
Takes a URL apart. Refuses what RFC 3986 does not allow: spaces, control characters, letters beyond
ASCII (a host name in another script has to come in its "xn--" form), a "%" without two hexadecimal
digits; `url.encode` makes a part of any text. The one exception: brackets are allowed in a query
and a fragment. URLs of http, https, ws and wss must name a host after their "//".
@function parse
@tparam string|Url text also a relative reference, such as "/path?x=1"
@treturn Url or nil, message, code: "EURL", the message says what is wrong, and with which byte
*/
static int parse(lua_State *L)
{
    size_t size;
    const char *text = ml_check_url_text(L, 1, &size);
    struct ml_url parts;
    struct ml_url_error error;
    if (ml_url_parse(text, size, &parts, &error) != 0)
        return push_failure(L, "not a URL", &error);
    push_url(L, &parts, size);
    return 1;
}

/***
Returns the target of a reference in a document (RFC 3986, section 5).
@function join
@tparam string|Url base URL of the document; a relative one gives a relative result
@tparam string|Url reference
@treturn string the URL; or nil, message, code: "EURL", the message says which of the two is wrong
@usage url.join("http://a/b/c/d;p?q", "../g") --> http://a/b/g
*/
static int join(lua_State *L)
{
    size_t base_size, size;
    const char *base_text = ml_check_url_text(L, 1, &base_size);
    const char *text = ml_check_url_text(L, 2, &size);
    struct ml_url base, reference, target;
    struct ml_url_error error;
    if (ml_url_parse(base_text, base_size, &base, &error) != 0)
        return push_failure(L, "the base is not a URL", &error);
    if (ml_url_parse(text, size, &reference, &error) != 0)
        return push_failure(L, "not a URL", &error);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, ml_url_join_room(&base, &reference));
    size = ml_url_join(&base, &reference, out);
    if (ml_url_parse(out, size, &target, &error) != 0)
        return push_failure(L, "not a URL", &error);
    luaL_pushresultsize(&b, size);
    return 1;
}

/* ---- percent-encoding ---- */

static void push_encoded(lua_State *L, const char *text, size_t size, bool is_form)
{
    luaL_Buffer b;
    if (size > SIZE_MAX / 4)
        luaL_error(L, "not enough memory");
    char *out = luaL_buffinitsize(L, &b, 3 * size);
    luaL_pushresultsize(&b, ml_percent_encode(text, size, is_form, out));
}

/* False, and nothing pushed: there is a bad "%". */
static bool push_decoded(lua_State *L, const char *text, size_t size, bool is_form)
{
    int top = lua_gettop(L);
    luaL_Buffer b;
    char *out = luaL_buffinitsize(L, &b, size);
    ptrdiff_t length = ml_percent_decode(text, size, is_form, out);
    if (length >= 0)
        luaL_pushresultsize(&b, (size_t)length);
    else
        lua_settop(L, top);
    return length >= 0;
}

/***
Encodes a text so that it can be a part of a URL: of all bytes only letters, digits and "-._~" stay
as they are.
@function encode
@tparam string text any bytes
@treturn string
@usage url.encode "a b/c" --> a%20b%2Fc
*/
static int encode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    push_encoded(L, text, size, false);
    return 1;
}

/***
The reverse: %XX becomes a byte, all else stays (also "+", which is a space only in forms).
@function decode
@tparam string text
@treturn string any bytes; or nil, message, code: "EURL", a "%" has no two hexadecimal digits
*/
static int decode(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    return push_decoded(L, text, size, false) ? 1 : push_bad_escape(L);
}

/* ---- queries ---- */

/* The stack of query(); a buffer may lie above. */
enum { TABLE = 1, PAIR = 2, NAME = 3, VALUE = 4, ITEM = 5, KEYS = 6 };

struct key {
    const char *text;
    size_t size;
};

static int compare_keys(const void *a, const void *b)
{
    const struct key *one = a, *other = b;
    size_t shorter = one->size < other->size ? one->size : other->size;
    int order = memcmp(one->text, other->text, shorter);
    return order != 0 ? order : (one->size > other->size) - (one->size < other->size);
}

/* Counts the names, or stores them in `keys`: strings that the table keeps alive. */
static size_t find_keys(lua_State *L, lua_Integer items, struct key *keys)
{
    size_t count = 0;
    for (lua_pushnil(L); lua_next(L, TABLE) != 0; lua_pop(L, 1)) {
        lua_Integer i = lua_isinteger(L, -2) ? lua_tointeger(L, -2) : 0;
        if (i >= 1 && i <= items)
            continue;
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_argerror(L, TABLE, "keys must be names, or of a list of pairs");
        if (keys != NULL)
            keys[count].text = lua_tolstring(L, -2, &keys[count].size);
        count++;
    }
    return count;
}

/* Pushes the names of the table, sorted, at KEYS. */
static struct key *push_keys(lua_State *L, lua_Integer items, size_t *count)
{
    *count = find_keys(L, items, NULL);
    struct key *keys = lua_newuserdatauv(L, (*count + 1) * sizeof *keys, 0);
    find_keys(L, items, keys);
    qsort(keys, *count, sizeof *keys, compare_keys);
    return keys;
}

/* Raises with the name at NAME. */
static int refuse_value(lua_State *L, int value)
{
    luaL_tolstring(L, NAME, NULL);
    return luaL_argerror(L, TABLE,
                         lua_pushfstring(L, "the value of '%s' is a %s", lua_tostring(L, -1),
                                         luaL_typename(L, value)));
}

/* Adds the value at `index`, encoded. The buffer is on top of the stack. */
static void add_value(lua_State *L, luaL_Buffer *b, int index)
{
    size_t size;
    const char *text = "";
    if (lua_isboolean(L, index)) {
        text = lua_toboolean(L, index) ? "true" : "false";
        size = strlen(text);
    } else if ((text = lua_tolstring(L, index, &size)) == NULL) {
        refuse_value(L, index);
    }
    push_encoded(L, text, size, true);
    luaL_addvalue(b);
}

static void add_pair(lua_State *L, luaL_Buffer *b, int value)
{
    if (luaL_bufflen(b) > 0)
        luaL_addchar(b, '&');
    add_value(L, b, NAME);
    luaL_addchar(b, '=');
    add_value(L, b, value);
}

/* NAME and VALUE are set: one pair, or one for each item of a list. */
static void add_pairs(lua_State *L, luaL_Buffer *b)
{
    if (!lua_istable(L, VALUE)) {
        add_pair(L, b, VALUE);
        return;
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, VALUE);
    for (lua_Integer i = 1; i <= count; i++) {
        lua_rawgeti(L, VALUE, i);
        lua_replace(L, ITEM);
        add_pair(L, b, ITEM);
    }
}

static void add_listed(lua_State *L, luaL_Buffer *b, lua_Integer i)
{
    lua_rawgeti(L, TABLE, i);
    lua_replace(L, PAIR);
    if (!lua_istable(L, PAIR))
        luaL_argerror(L, TABLE, lua_pushfstring(L, "item %I is not a pair {name, value}", i));
    lua_rawgeti(L, PAIR, 1);
    lua_replace(L, NAME);
    lua_rawgeti(L, PAIR, 2);
    lua_replace(L, VALUE);
    if (lua_type(L, NAME) != LUA_TSTRING && lua_type(L, NAME) != LUA_TNUMBER)
        luaL_argerror(L, TABLE, lua_pushfstring(L, "item %I is not a pair {name, value}", i));
    add_pairs(L, b);
}

static void add_named(lua_State *L, luaL_Buffer *b, const struct key *key)
{
    lua_pushlstring(L, key->text, key->size);
    lua_replace(L, NAME);
    lua_pushvalue(L, NAME);
    lua_rawget(L, TABLE);
    lua_replace(L, VALUE);
    add_pairs(L, b);
}

/***
The text of a query, or of a form (`application/x-www-form-urlencoded`): "a=1&b=x+y". A space
becomes "+", all else is encoded as `url.encode` does it.
@function query
@tparam table t names and their values: strings, numbers, booleans, or lists of those, which repeat
the name. They come in the order of the names. Or a list of pairs {name, value}, which keep their
order
@treturn string
@usage url.query {q = "green threads", tag = {"a", "b"}} --> q=green+threads&tag=a&tag=b
*/
static int query(lua_State *L)
{
    luaL_checktype(L, TABLE, LUA_TTABLE);
    lua_settop(L, ITEM);
    lua_Integer items = (lua_Integer)lua_rawlen(L, TABLE);
    size_t count;
    const struct key *keys = push_keys(L, items, &count);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (lua_Integer i = 1; i <= items; i++)
        add_listed(L, &b, i);
    for (size_t i = 0; i < count; i++)
        add_named(L, &b, &keys[i]);
    luaL_pushresult(&b);
    return 1;
}

/* Stack: the result, name, value, which are popped. */
static void store_pair(lua_State *L)
{
    lua_pushvalue(L, -2);
    int type = lua_rawget(L, -4);
    if (type == LUA_TNIL) {
        lua_pop(L, 1);
        lua_rawset(L, -3);
    } else if (type == LUA_TTABLE) {
        lua_insert(L, -2);
        lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        lua_pop(L, 2);
    } else {
        lua_createtable(L, 2, 0);
        lua_insert(L, -3);
        lua_rawseti(L, -3, 1);
        lua_rawseti(L, -2, 2);
        lua_rawset(L, -3);
    }
}

/* Stack: the result. */
static bool parse_pair(lua_State *L, const char *text, const char *end)
{
    const char *equals = memchr(text, '=', (size_t)(end - text));
    const char *stop = equals != NULL ? equals : end, *value = equals != NULL ? equals + 1 : end;
    if (!push_decoded(L, text, (size_t)(stop - text), true) ||
        !push_decoded(L, value, (size_t)(end - value), true))
        return false;
    store_pair(L);
    return true;
}

/***
Reads the text of a query, or of a form: the reverse of `url.query`.
@function parse_query
@tparam string text without the "?"
@treturn table names and their values, strings; a name that comes more than once has the list of its
values; a peer may send either. "" is the value of a name without "=". Or nil, message, code:
"EURL", a "%" has no two hexadecimal digits
*/
static int parse_query(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size), *end = text + size;
    bool is_good = true;
    lua_newtable(L);
    while (is_good && text < end) {
        const char *mark = memchr(text, '&', (size_t)(end - text));
        const char *stop = mark != NULL ? mark : end;
        if (stop > text)
            is_good = parse_pair(L, text, stop);
        text = mark != NULL ? mark + 1 : end;
    }
    return is_good ? 1 : push_bad_escape(L);
}

/* ---- the module ---- */

void ml_open_url_type(lua_State *L)
{
    static const luaL_Reg no_methods[] = {{NULL, NULL}};
    static const luaL_Reg metamethods[] = {{"__newindex", url_newindex},
                                           {"__tostring", url_tostring},
                                           {"__eq", url_eq},
                                           {"__concat", url_concat},
                                           {NULL, NULL}};
    ml_open_object_type(L, url_type, no_methods, metamethods);
    lua_getfield(L, LUA_REGISTRYINDEX, url_type);
    lua_pushcfunction(L, url_index);
    lua_setfield(L, -2, "__index");
    lua_pop(L, 1);
}

int ml_open_url(lua_State *L)
{
    static const luaL_Reg functions[] = {{"parse", parse},   {"join", join},
                                         {"encode", encode}, {"decode", decode},
                                         {"query", query},   {"parse_query", parse_query},
                                         {NULL, NULL}};
    ml_open_url_type(L);
    luaL_newlib(L, functions);
    return 1;
}
