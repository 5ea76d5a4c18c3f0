#include "bindings/data/json_output.h"

#include "bindings/data/json_text.h"

#include <lauxlib.h>
#include <stdint.h>

__attribute__((noinline)) void ml_json_output_grow(struct ml_json_output *o, size_t size)
{
    size_t capacity = 2 * o->capacity;
    if (size > SIZE_MAX / 4 - o->capacity)
        luaL_error(o->L, "not enough memory");
    if (capacity < o->size + size)
        capacity = o->size + size;
    char *text = lua_newuserdatauv(o->L, capacity, 0);
    memcpy(text, o->text, o->size);
    lua_replace(o->L, o->block);
    o->text = text;
    o->capacity = capacity;
}

static void put_escape(struct ml_json_output *o, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char names[256] = {['"'] = '"',  ['\\'] = '\\', ['\b'] = 'b', ['\f'] = 'f',
                                    ['\n'] = 'n', ['\r'] = 'r',  ['\t'] = 't'};
    if (names[byte] != 0)
        ml_json_put(o, (const char[]){'\\', names[byte]}, 2);
    else
        ml_json_put(o, (const char[]){'\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15]}, 6);
}

bool ml_json_put_string(struct ml_json_output *o, const char *text, size_t size)
{
    const char *end = text + size, *p = text;
    ml_json_put_byte(o, '"');
    while ((p = ml_json_plain(p, end)) < end) {
        size_t length = (unsigned char)*p >= 0x80 ? ml_json_character(p, end) : 1;
        if (length == 0)
            return false;
        if (length == 1) {
            ml_json_put(o, text, (size_t)(p - text));
            put_escape(o, (unsigned char)*p);
            text = p + 1;
        }
        p += length;
    }
    char *out = ml_json_reserve(o, (size_t)(end - text) + 1);
    memcpy(out, text, (size_t)(end - text));
    out[end - text] = '"';
    o->size += (size_t)(end - text) + 1;
    return true;
}
