/*** @submodule moonlet.http */
/***
Header fields, as `req.headers`, `res.headers` and `r.headers` are, and the fields of a query, as
`req.query` is.

    h["content-type"]          -- any case; several lines joined by ", " (set-cookie: the first)
    h["x-limit"] = 10          -- a string, a number, a list of lines, or nil to remove it
    for name, value in pairs(h) do print(name, value) end -- line by line, in lower case

A field whose name a method has is read by `get`. In a query names keep their case.
@object headers
*/
#include "bindings/http/headers.h"

#include "bindings/core/object.h"
#include "http/syntax.h"

#include <string.h>
#include <strings.h>

const char ml_http_headers_type[] = "http.headers";

/* Bytes and fields of one object; more is an error of the script's. */
enum { BYTES_MOST = 1 << 30, FIELDS_MOST = 1 << 20 };

/* ---- memory ---- */

/* Pushes an object whose fields and bytes lie behind it in the same block. */
static struct ml_http_headers *push_object(lua_State *L, uint32_t fields, uint32_t bytes)
{
    ml_open_http_headers_type(L);
    size_t field_size = fields * sizeof(struct ml_http_field);
    struct ml_http_headers *headers =
        ml_push_object(L, ml_http_headers_type, sizeof *headers + field_size + bytes, 1);
    headers->fields = (struct ml_http_field *)(headers + 1);
    headers->bytes = (char *)(headers->fields + fields);
    headers->field_room = fields;
    headers->room = bytes;
    return headers;
}

/* Appends one to the bytes; there is room. */
static struct ml_http_slice put_bytes(struct ml_http_headers *headers, const char *bytes,
                                      size_t size)
{
    struct ml_http_slice slice = {headers->size, (uint32_t)size};
    if (size > 0)
        memcpy(headers->bytes + headers->size, bytes, size);
    headers->size += (uint32_t)size;
    return slice;
}

/* The same for a field. */
static void put_field(struct ml_http_headers *headers, const struct ml_http_line *line)
{
    struct ml_http_field field = {.known = (uint8_t)line->known};
    field.name = put_bytes(headers, line->name, line->name_size);
    field.value = put_bytes(headers, line->value, line->value_size);
    headers->fields[headers->count++] = field;
}

static size_t used_bytes(const struct ml_http_headers *headers)
{
    size_t used = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        used += headers->fields[i].name.size + headers->fields[i].value.size;
    return used;
}

/* Moves what the object at `index` holds to a new block, which is its user value from then on. */
static void move(lua_State *L, int index, struct ml_http_headers *headers, size_t fields,
                 size_t bytes)
{
    struct ml_http_headers larger = {.field_room = (uint32_t)fields, .room = (uint32_t)bytes};
    larger.fields = lua_newuserdatauv(L, fields * sizeof *larger.fields + bytes, 0);
    larger.bytes = (char *)(larger.fields + fields);
    larger.is_query = headers->is_query;
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(headers, &at, &line);)
        put_field(&larger, &line);
    lua_setiuservalue(L, index, 1);
    *headers = larger;
}

/* Makes room for so many more fields and bytes of theirs. */
static void reserve(lua_State *L, int index, struct ml_http_headers *headers, size_t fields,
                    size_t bytes)
{
    if (headers->field_room - headers->count >= fields && headers->room - headers->size >= bytes)
        return;
    size_t field_sum = headers->count + fields, sum = used_bytes(headers) + bytes;
    if (field_sum > FIELDS_MOST || sum > BYTES_MOST)
        luaL_error(L, "headers are too large");
    move(L, lua_absindex(L, index), headers, field_sum + field_sum / 2 + 4, sum + sum / 2 + 64);
}

/* ---- names and lines ---- */

struct name {
    const char *text;
    size_t size;
    enum ml_http_name known;
};

static struct name name_of(const struct ml_http_headers *headers, const char *text, size_t size)
{
    enum ml_http_name known = headers->is_query ? ML_HTTP_OTHER : ml_http_name_of(text, size);
    return (struct name){text, size, known};
}

static bool has_name(const struct ml_http_headers *headers, const struct ml_http_field *field,
                     const struct name *name)
{
    if (field->known != name->known || field->name.size != name->size)
        return false;
    const char *own = headers->bytes + field->name.at;
    return headers->is_query
               ? memcmp(own, name->text, name->size) == 0
               : name->known != ML_HTTP_OTHER || strncasecmp(own, name->text, name->size) == 0;
}

/* The place of the next field of that name from `at` on; the count: there is none. */
static uint32_t find(const struct ml_http_headers *headers, const struct name *name, uint32_t at)
{
    while (at < headers->count && !has_name(headers, &headers->fields[at], name))
        at++;
    return at;
}

bool ml_http_headers_next(const struct ml_http_headers *headers, size_t *at,
                          struct ml_http_line *line)
{
    if (*at >= headers->count)
        return false;
    const struct ml_http_field *field = &headers->fields[(*at)++];
    *line = (struct ml_http_line){.name = headers->bytes + field->name.at,
                                  .name_size = field->name.size,
                                  .value = headers->bytes + field->value.at,
                                  .value_size = field->value.size,
                                  .known = headers->is_query ? ML_HTTP_OTHER
                                                             : (enum ml_http_name)field->known};
    return true;
}

const char *ml_http_headers_find(const struct ml_http_headers *headers, const char *text,
                                 size_t size, size_t *value_size)
{
    struct name name = name_of(headers, text, size);
    uint32_t at = find(headers, &name, 0);
    if (at == headers->count)
        return NULL;
    *value_size = headers->fields[at].value.size;
    return headers->bytes + headers->fields[at].value.at;
}

static void remove_lines(struct ml_http_headers *headers, const struct name *name)
{
    uint32_t kept = find(headers, name, 0);
    for (uint32_t i = kept; i < headers->count; i++)
        if (!has_name(headers, &headers->fields[i], name))
            headers->fields[kept++] = headers->fields[i];
    headers->count = kept;
}

void ml_http_headers_remove(struct ml_http_headers *headers, const char *text, size_t size)
{
    struct name name = name_of(headers, text, size);
    remove_lines(headers, &name);
}

/* ---- what can be sent ---- */

static void check_name(lua_State *L, const char *name, size_t size)
{
    if (ml_http_is_token(name, size))
        return;
    lua_pushlstring(L, name, size);
    luaL_error(L, "'%s' is no name of a header field", lua_tostring(L, -1));
}

/* Spaces at both ends would not arrive: they are left out. */
static struct ml_http_text check_value(lua_State *L, const struct name *name, const char *value,
                                       size_t size)
{
    struct ml_http_text text = ml_http_trim(value, size);
    if (!ml_http_is_field_value(text.at, text.size)) {
        lua_pushlstring(L, name->text, name->size);
        luaL_error(L, "the value of header field '%s' contains a control character",
                   lua_tostring(L, -1));
    }
    return text;
}

static void add_line(lua_State *L, int index, struct ml_http_headers *headers,
                     const struct name *name, const char *value, size_t value_size)
{
    struct ml_http_text text = {value, value_size};
    if (!headers->is_query)
        text = check_value(L, name, value, value_size);
    if (name->size > BYTES_MOST || text.size > BYTES_MOST)
        luaL_error(L, "headers are too large");
    reserve(L, index, headers, 1, name->size + text.size);
    put_field(headers, &(struct ml_http_line){.name = name->text,
                                              .name_size = name->size,
                                              .value = text.at,
                                              .value_size = text.size,
                                              .known = name->known});
}

void ml_http_headers_add(lua_State *L, int index, const char *text, size_t size, const char *value,
                         size_t value_size)
{
    struct ml_http_headers *headers = ml_http_check_headers(L, index);
    if (!headers->is_query)
        check_name(L, text, size);
    struct name name = name_of(headers, text, size);
    add_line(L, index, headers, &name, value, value_size);
}

/* A name that the script gave at `index`. */
static struct name check_script_name(lua_State *L, const struct ml_http_headers *headers, int index)
{
    size_t size;
    if (lua_type(L, index) != LUA_TSTRING)
        luaL_error(L, "the name of a header field must be a string, not a %s",
                   luaL_typename(L, index));
    const char *text = lua_tolstring(L, index, &size);
    if (!headers->is_query)
        check_name(L, text, size);
    return name_of(headers, text, size);
}

/* One value, on top of the stack, which becomes a string. */
static const char *check_script_value(lua_State *L, const struct name *name, size_t *size)
{
    const char *value = lua_tolstring(L, -1, size);
    if (value == NULL) {
        lua_pushlstring(L, name->text, name->size);
        luaL_error(L, "header field '%s' must be a string, a number or a list of them, not a %s",
                   lua_tostring(L, -1), luaL_typename(L, -2));
    }
    return value;
}

/* Adds what the script gave at `value`: a string, a number, or a list. */
static void add_script_value(lua_State *L, int index, struct ml_http_headers *headers,
                             const struct name *name, int value)
{
    bool is_list = lua_istable(L, value);
    lua_Integer count = is_list ? luaL_len(L, value) : 1;
    for (lua_Integer i = 1; i <= count; i++) {
        size_t size;
        if (is_list)
            lua_geti(L, value, i);
        else
            lua_pushvalue(L, value);
        const char *text = check_script_value(L, name, &size);
        add_line(L, index, headers, name, text, size);
        lua_pop(L, 1);
    }
}

/* ---- making them ---- */

struct ml_http_headers *ml_http_push_new_headers(lua_State *L, uint32_t fields, uint32_t bytes)
{
    return push_object(L, fields, bytes);
}

/* Where the bytes of a head's fields begin, and where they end. */
static struct ml_http_slice extent(const struct ml_http_head *head)
{
    if (head->field_count == 0)
        return (struct ml_http_slice){0, 0};
    const struct ml_http_field *last = &head->fields[head->field_count - 1];
    uint32_t start = head->fields[0].name.at, end = last->name.at + last->name.size;
    if (last->value.size > 0)
        end = last->value.at + last->value.size;
    return (struct ml_http_slice){start, end - start};
}

struct ml_http_headers *ml_http_push_headers(lua_State *L, const struct ml_http_head *head)
{
    struct ml_http_slice all = extent(head);
    struct ml_http_headers *headers = push_object(L, head->field_count, all.size);
    put_bytes(headers, head->bytes + all.at, all.size);
    for (uint32_t i = 0; i < head->field_count; i++) {
        struct ml_http_field field = head->fields[i];
        field.name.at -= all.at;
        field.value.at = field.value.size > 0 ? field.value.at - all.at : 0;
        headers->fields[i] = field;
    }
    headers->count = head->field_count;
    return headers;
}

void ml_http_headers_fill(struct ml_http_headers *headers, const struct ml_http_head *head,
                          size_t size)
{
    put_bytes(headers, head->bytes, size);
    if (head->field_count > 0)
        memcpy(headers->fields, head->fields, head->field_count * sizeof *head->fields);
    headers->count = head->field_count;
}

struct ml_http_headers *ml_http_test_headers(lua_State *L, int index)
{
    return ml_test_object(L, index, ml_http_headers_type);
}

struct ml_http_headers *ml_http_check_headers(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_http_headers_type);
}

/* ---- queries ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Decodes to the bytes of the object, where there is room; a '%' without two digits stays. */
static struct ml_http_slice put_decoded(struct ml_http_headers *headers, const char *text,
                                        const char *end)
{
    char *to = headers->bytes + headers->size;
    struct ml_http_slice slice = {headers->size, 0};
    while (text < end) {
        bool is_code =
            end - text >= 3 && text[0] == '%' && hex_digit(text[1]) >= 0 && hex_digit(text[2]) >= 0;
        if (is_code)
            to[slice.size++] = (char)(hex_digit(text[1]) * 16 + hex_digit(text[2]));
        else
            to[slice.size++] = *text == '+' ? ' ' : *text;
        text += is_code ? 3 : 1;
    }
    headers->size += slice.size;
    return slice;
}

static size_t count_fields(const char *text, size_t size)
{
    size_t count = 1;
    for (size_t i = 0; i < size; i++)
        count += text[i] == '&';
    return count;
}

struct ml_http_headers *ml_http_push_query(lua_State *L, const char *text, size_t size)
{
    size_t count = count_fields(text, size);
    if (count > FIELDS_MOST || size > BYTES_MOST)
        luaL_error(L, "the query is too large");
    struct ml_http_headers *query = push_object(L, (uint32_t)count, (uint32_t)size);
    query->is_query = true;
    for (const char *end = text + size; text < end; text++) {
        const char *stop = memchr(text, '&', (size_t)(end - text));
        stop = stop != NULL ? stop : end;
        const char *equal = memchr(text, '=', (size_t)(stop - text));
        if (stop > text) {
            struct ml_http_field *field = &query->fields[query->count++];
            *field = (struct ml_http_field){0};
            field->name = put_decoded(query, text, equal != NULL ? equal : stop);
            field->value = put_decoded(query, equal != NULL ? equal + 1 : stop, stop);
        }
        text = stop;
    }
    return query;
}

/* ---- what `headers` takes ---- */

/* Of one connection or one message's framing: never taken over. */
static bool is_of_connection(const struct ml_http_line *line)
{
    switch (line->known) {
    case ML_HTTP_CONTENT_LENGTH:
    case ML_HTTP_TRANSFER_ENCODING:
    case ML_HTTP_CONNECTION:
    case ML_HTTP_UPGRADE:
    case ML_HTTP_TRAILER:
    case ML_HTTP_TE:
    case ML_HTTP_KEEP_ALIVE:
    case ML_HTTP_PROXY_CONNECTION:
    case ML_HTTP_HTTP2_SETTINGS:
        return true;
    default:
        return false;
    }
}

/* Removes the fields that a Connection field of `from` names. */
static void remove_named(struct ml_http_headers *headers, const struct ml_http_headers *from)
{
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(from, &at, &line);) {
        struct ml_http_text rest = {line.value, line.value_size}, name;
        while (line.known == ML_HTTP_CONNECTION && ml_http_list_next(&rest, &name))
            ml_http_headers_remove(headers, name.at, name.size);
    }
}

/* Pushes a copy of the object at `index`, the fields of its connection left out. A field of a query
 * is checked as a script's is. */
static struct ml_http_headers *copy(lua_State *L, int index)
{
    const struct ml_http_headers *from = ml_http_check_headers(L, index);
    struct ml_http_headers *headers = push_object(L, from->count, (uint32_t)used_bytes(from));
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(from, &at, &line);) {
        if (from->is_query)
            ml_http_headers_add(L, -1, line.name, line.name_size, line.value, line.value_size);
        else
            put_field(headers, &line);
    }
    return headers;
}

/* Pushes an object of the table at `index`. */
static struct ml_http_headers *read_table(lua_State *L, int index)
{
    struct ml_http_headers *headers = push_object(L, 8, 256);
    int own = lua_gettop(L);
    for (lua_pushnil(L); lua_next(L, index) != 0; lua_pop(L, 1)) {
        struct name name = check_script_name(L, headers, own + 1);
        add_script_value(L, own, headers, &name, own + 2);
    }
    return headers;
}

/* Removes the fields of one connection. */
static void remove_connection(struct ml_http_headers *headers)
{
    uint32_t kept = 0;
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(headers, &at, &line);)
        if (!is_of_connection(&line))
            headers->fields[kept++] = headers->fields[at - 1];
    headers->count = kept;
}

struct ml_http_headers *ml_http_take_headers(lua_State *L, int index, const char *what)
{
    index = lua_absindex(L, index);
    luaL_checkstack(L, 8, NULL);
    if (lua_isnoneornil(L, index))
        return push_object(L, 8, 256);
    bool is_object = ml_http_test_headers(L, index) != NULL;
    if (!is_object && !lua_istable(L, index))
        luaL_error(L, "%s must be a table, not a %s", what, luaL_typename(L, index));
    struct ml_http_headers *headers = is_object ? copy(L, index) : read_table(L, index);
    /* A script's table that names `connection` means its connection, too. */
    struct ml_http_headers all = *headers;
    if (is_object)
        remove_named(headers, &all);
    remove_connection(headers);
    return headers;
}

/* ---- what scripts do with them ---- */

static void push_lower(lua_State *L, const char *text, size_t size)
{
    luaL_Buffer buffer;
    char *to = luaL_buffinitsize(L, &buffer, size);
    for (size_t i = 0; i < size; i++)
        to[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] | 0x20) : text[i];
    luaL_pushresultsize(&buffer, size);
}

static void push_name(lua_State *L, const struct ml_http_line *line, bool is_query)
{
    if (line->known != ML_HTTP_OTHER)
        lua_pushlstring(L, ml_http_known_names[line->known].text, line->name_size);
    else if (is_query)
        lua_pushlstring(L, line->name, line->name_size);
    else
        push_lower(L, line->name, line->name_size);
}

static void push_value(lua_State *L, const struct ml_http_headers *headers, uint32_t at)
{
    const struct ml_http_slice *value = &headers->fields[at].value;
    lua_pushlstring(L, headers->bytes + value->at, value->size);
}

/* Pushes the lines of that name from the one at `first` on, of which there are several. */
static void push_joined(lua_State *L, const struct ml_http_headers *headers,
                        const struct name *name, uint32_t first)
{
    luaL_Buffer buffer;
    luaL_buffinit(L, &buffer);
    for (uint32_t at = first; at < headers->count; at = find(headers, name, at + 1)) {
        const struct ml_http_slice *value = &headers->fields[at].value;
        if (at != first)
            luaL_addlstring(&buffer, ", ", 2);
        luaL_addlstring(&buffer, headers->bytes + value->at, value->size);
    }
    luaL_pushresult(&buffer);
}

/* Pushes what a script reads under the name at `index`, nil if there is no such field. */
static int push_field(lua_State *L, const struct ml_http_headers *headers, int index)
{
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    struct name name = name_of(headers, text, size);
    uint32_t first = find(headers, &name, 0);
    bool is_one = name.known == ML_HTTP_SET_COOKIE || first == headers->count ||
                  find(headers, &name, first + 1) == headers->count;
    if (first == headers->count)
        lua_pushnil(L);
    else if (is_one)
        push_value(L, headers, first);
    else
        push_joined(L, headers, &name, first);
    return 1;
}

/* The length that all names of methods have: other names are looked for in the fields alone. */
enum { METHOD_LENGTH = 3 };

/* Upvalue 1: the methods. */
static int headers_index(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    lua_settop(L, 2);
    if (lua_type(L, 2) != LUA_TSTRING) {
        lua_pushnil(L);
        return 1;
    }
    if (lua_rawlen(L, 2) == METHOD_LENGTH) {
        lua_pushvalue(L, 2);
        if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL)
            return 1;
    }
    return push_field(L, headers, 2);
}

/***
All lines of a field, joined by ", " (of set-cookie, the first). The same as `h[name]`, and also for
a field that a method has the name of.
@function headers:get
@tparam string name
@treturn ?string nil if there is none
*/
static int headers_get(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    luaL_checktype(L, 2, LUA_TSTRING);
    return push_field(L, headers, 2);
}

/***
The lines of a field, each for itself.
@function headers:all
@tparam string name
@treturn {string} empty if there is none
*/
static int headers_all(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    size_t size;
    luaL_checktype(L, 2, LUA_TSTRING);
    const char *text = lua_tolstring(L, 2, &size);
    struct name name = name_of(headers, text, size);
    lua_newtable(L);
    lua_Integer count = 0;
    for (uint32_t at = find(headers, &name, 0); at < headers->count;
         at = find(headers, &name, at + 1)) {
        push_value(L, headers, at);
        lua_rawseti(L, -2, ++count);
    }
    return 1;
}

/* The object at 1, to be changed. */
static struct ml_http_headers *check_unsent(lua_State *L)
{
    struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    if (headers->is_sent)
        luaL_error(L, "the head of the answer has been sent");
    return headers;
}

/***
Adds a line, and leaves those that the field has.
@function headers:add
@tparam string name
@tparam string|number|table value a list adds a line for each of its elements
*/
static int headers_add(lua_State *L)
{
    struct ml_http_headers *headers = check_unsent(L);
    luaL_checkany(L, 3);
    struct name name = check_script_name(L, headers, 2);
    lua_settop(L, 3);
    add_script_value(L, 1, headers, &name, 3);
    return 0;
}

/* Raises for a value that cannot be set, and makes room for it; no field has changed yet. */
static void prepare_script_value(lua_State *L, struct ml_http_headers *headers,
                                 const struct name *name, int value)
{
    bool is_list = lua_istable(L, value);
    lua_Integer count = is_list ? luaL_len(L, value) : 1;
    size_t bytes = 0;
    for (lua_Integer i = 1; i <= count; i++) {
        size_t size;
        if (is_list)
            lua_geti(L, value, i);
        else
            lua_pushvalue(L, value);
        const char *text = check_script_value(L, name, &size);
        if (!headers->is_query)
            check_value(L, name, text, size);
        bytes += name->size + size;
        lua_pop(L, 1);
    }
    reserve(L, 1, headers, count > 0 ? (size_t)count : 0, bytes);
}

static int headers_newindex(lua_State *L)
{
    struct ml_http_headers *headers = check_unsent(L);
    struct name name = check_script_name(L, headers, 2);
    lua_settop(L, 3);
    bool has_value = !lua_isnil(L, 3);
    if (has_value)
        prepare_script_value(L, headers, &name, 3);
    remove_lines(headers, &name);
    if (has_value)
        add_script_value(L, 1, headers, &name, 3);
    return 0;
}

/* Upvalues: the object, the place of the next line. */
static int next_line(lua_State *L)
{
    const struct ml_http_headers *headers = ml_to_object(L, lua_upvalueindex(1));
    size_t at = (size_t)lua_tointeger(L, lua_upvalueindex(2));
    struct ml_http_line line;
    if (!ml_http_headers_next(headers, &at, &line)) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushinteger(L, (lua_Integer)at);
    lua_replace(L, lua_upvalueindex(2));
    push_name(L, &line, headers->is_query);
    lua_pushlstring(L, line.value, line.value_size);
    return 2;
}

static int headers_pairs(lua_State *L)
{
    ml_http_check_headers(L, 1);
    lua_settop(L, 1);
    lua_pushinteger(L, 0);
    lua_pushcclosure(L, next_line, 2);
    return 1;
}

/* Not the values: these are secrets at times, and what is printed goes to logs. */
static int headers_tostring(lua_State *L)
{
    const struct ml_http_headers *headers = ml_http_check_headers(L, 1);
    lua_pushfstring(L, "http.%s (%d %s)", headers->is_query ? "query" : "headers",
                    (int)headers->count, headers->count == 1 ? "line" : "lines");
    return 1;
}

/*
Makes headers of a table or of other headers; fields of a connection and of framing are left out.
@tparam[opt] table fields
@treturn headers
*/
static int new_headers(lua_State *L)
{
    ml_http_take_headers(L, 1, "headers");
    return 1;
}

/* new_query(text): the fields of a query, decoded. */
static int new_query(lua_State *L)
{
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    ml_http_push_query(L, text, size);
    return 1;
}

static const luaL_Reg methods[] = {
    {"get", headers_get}, {"all", headers_all}, {"add", headers_add}, {NULL, NULL}};

static const luaL_Reg metamethods[] = {{"__newindex", headers_newindex},
                                       {"__pairs", headers_pairs},
                                       {"__tostring", headers_tostring},
                                       {NULL, NULL}};

void ml_open_http_headers_type(lua_State *L)
{
    if (lua_getfield(L, LUA_REGISTRYINDEX, ml_http_headers_type) == LUA_TNIL) {
        ml_open_object_type(L, ml_http_headers_type, methods, metamethods);
        lua_getfield(L, LUA_REGISTRYINDEX, ml_http_headers_type);
        lua_getfield(L, -1, "__index");
        lua_pushcclosure(L, headers_index, 1);
        lua_setfield(L, -2, "__index");
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
}

int ml_open_http_headers(lua_State *L)
{
    static const luaL_Reg functions[] = {{"new", new_headers}, {"query", new_query}, {NULL, NULL}};
    ml_open_http_headers_type(L);
    luaL_newlib(L, functions);
    return 1;
}
