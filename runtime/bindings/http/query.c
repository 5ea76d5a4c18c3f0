#include "bindings/http/query.h"

#include "bindings/http/headers.h"

#include <lauxlib.h>
#include <string.h>

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Appends the decoded text to the object's bytes; there is room. A '%' without two digits stays. */
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
    if (count > ML_HTTP_HEADERS_FIELDS || size > ML_HTTP_HEADERS_BYTES)
        luaL_error(L, "the query is too large");
    struct ml_http_headers *query = ml_http_push_new_headers(L, (uint32_t)count, (uint32_t)size);
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
