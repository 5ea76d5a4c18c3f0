/* The object of bindings/http/headers.h: its memory, its lines. */
#include "bindings/http/headers.h"

#include "bindings/core/object.h"
#include "http/syntax.h"

#include <string.h>
#include <strings.h>

const char ml_http_headers_type[] = "http.headers";

/* ---- memory ---- */

/* Pushes an object whose fields and bytes lie behind it in the same block. */
struct ml_http_headers *ml_http_push_new_headers(lua_State *L, uint32_t fields, uint32_t bytes)
{
    size_t field_size = fields * sizeof(struct ml_http_field);
    struct ml_http_headers *headers =
        ml_push_object(L, ml_http_headers_type, sizeof *headers + field_size + bytes, 1);
    headers->fields = (struct ml_http_field *)(headers + 1);
    headers->bytes = (char *)(headers->fields + fields);
    headers->field_room = fields;
    headers->room = bytes;
    return headers;
}

/* Appends a text to the bytes; there is room. */
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
void ml_http_headers_put(struct ml_http_headers *headers, const struct ml_http_line *line)
{
    struct ml_http_field field = {.known = (uint8_t)line->known};
    field.name = put_bytes(headers, line->name, line->name_size);
    field.value = put_bytes(headers, line->value, line->value_size);
    headers->fields[headers->count++] = field;
}

size_t ml_http_headers_bytes(const struct ml_http_headers *headers)
{
    size_t used = 0;
    for (uint32_t i = 0; i < headers->count; i++)
        used += headers->fields[i].name.size + headers->fields[i].value.size;
    return used;
}

/* Moves the content of the object at `index` to a new block, which becomes its user value. */
static void move(lua_State *L, int index, struct ml_http_headers *headers, size_t fields,
                 size_t bytes)
{
    struct ml_http_headers larger = {.field_room = (uint32_t)fields, .room = (uint32_t)bytes};
    larger.fields = lua_newuserdatauv(L, fields * sizeof *larger.fields + bytes, 0);
    larger.bytes = (char *)(larger.fields + fields);
    larger.is_query = headers->is_query;
    struct ml_http_line line;
    for (size_t at = 0; ml_http_headers_next(headers, &at, &line);)
        ml_http_headers_put(&larger, &line);
    lua_setiuservalue(L, index, 1);
    *headers = larger;
}

/* Makes room for `fields` more fields and `bytes` more bytes. */
void ml_http_headers_reserve(lua_State *L, int index, struct ml_http_headers *headers,
                             size_t fields, size_t bytes)
{
    if (headers->field_room - headers->count >= fields && headers->room - headers->size >= bytes)
        return;
    size_t field_sum = headers->count + fields, sum = ml_http_headers_bytes(headers) + bytes;
    if (field_sum > ML_HTTP_HEADERS_FIELDS || sum > ML_HTTP_HEADERS_BYTES)
        luaL_error(L, "headers are too large");
    move(L, lua_absindex(L, index), headers, field_sum + field_sum / 2 + 4, sum + sum / 2 + 64);
}

/* ---- names and lines ---- */

struct ml_http_key ml_http_headers_key(const struct ml_http_headers *headers, const char *text,
                                       size_t size)
{
    enum ml_http_name known = headers->is_query ? ML_HTTP_OTHER : ml_http_name_of(text, size);
    return (struct ml_http_key){text, size, known};
}

static bool has_name(const struct ml_http_headers *headers, const struct ml_http_field *field,
                     const struct ml_http_key *name)
{
    if (field->known != name->known || field->name.size != name->size)
        return false;
    const char *own = headers->bytes + field->name.at;
    return headers->is_query
               ? memcmp(own, name->text, name->size) == 0
               : name->known != ML_HTTP_OTHER || strncasecmp(own, name->text, name->size) == 0;
}

/* The place of the next field of that name, from `at` on; the count of fields: there is none. */
uint32_t ml_http_headers_find_key(const struct ml_http_headers *headers,
                                  const struct ml_http_key *name, uint32_t at)
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
    struct ml_http_key name = ml_http_headers_key(headers, text, size);
    uint32_t at = ml_http_headers_find_key(headers, &name, 0);
    if (at == headers->count)
        return NULL;
    *value_size = headers->fields[at].value.size;
    return headers->bytes + headers->fields[at].value.at;
}

void ml_http_headers_remove_key(struct ml_http_headers *headers, const struct ml_http_key *name)
{
    uint32_t kept = ml_http_headers_find_key(headers, name, 0);
    for (uint32_t i = kept; i < headers->count; i++)
        if (!has_name(headers, &headers->fields[i], name))
            headers->fields[kept++] = headers->fields[i];
    headers->count = kept;
}

void ml_http_headers_remove(struct ml_http_headers *headers, const char *text, size_t size)
{
    struct ml_http_key name = ml_http_headers_key(headers, text, size);
    ml_http_headers_remove_key(headers, &name);
}

/* ---- what can be sent ---- */

void ml_http_check_name(lua_State *L, const char *name, size_t size)
{
    if (ml_http_is_token(name, size))
        return;
    lua_pushlstring(L, name, size);
    luaL_error(L, "'%s' is no name of a header field", lua_tostring(L, -1));
}

struct ml_http_text ml_http_check_value(lua_State *L, const struct ml_http_key *name,
                                        const char *value, size_t size)
{
    struct ml_http_text text = ml_http_trim(value, size);
    if (!ml_http_is_field_value(text.at, text.size)) {
        lua_pushlstring(L, name->text, name->size);
        luaL_error(L, "the value of header field '%s' contains a control character",
                   lua_tostring(L, -1));
    }
    return text;
}

void ml_http_headers_add_line(lua_State *L, int index, struct ml_http_headers *headers,
                              const struct ml_http_key *name, const char *value, size_t value_size)
{
    struct ml_http_text text = {value, value_size};
    if (!headers->is_query)
        text = ml_http_check_value(L, name, value, value_size);
    if (name->size > ML_HTTP_HEADERS_BYTES || text.size > ML_HTTP_HEADERS_BYTES)
        luaL_error(L, "headers are too large");
    ml_http_headers_reserve(L, index, headers, 1, name->size + text.size);
    ml_http_headers_put(headers, &(struct ml_http_line){.name = name->text,
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
        ml_http_check_name(L, text, size);
    struct ml_http_key name = ml_http_headers_key(headers, text, size);
    ml_http_headers_add_line(L, index, headers, &name, value, value_size);
}

/* ---- making them ---- */

/* The bytes of a head's fields, from the first to the last. */
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
    struct ml_http_headers *headers = ml_http_push_new_headers(L, head->field_count, all.size);
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
