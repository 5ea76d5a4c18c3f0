/*
 * Header fields, or the fields of a query, as scripts see them: an object that is read like a
 * table, by a name in any case. It owns its bytes, so it keeps no memory of a connection in use.
 * Knows neither requests nor responses.
 *
 * Modules that make such objects call ml_open_http_headers_type() when they are opened.
 *
 * An object made of a parsed head is a single block of memory; strings are made when a script asks
 * for them. An object that is changed grows into a second block.
 */
#ifndef ML_BINDINGS_HTTP_HEADERS_H
#define ML_BINDINGS_HTTP_HEADERS_H

#include "http/head.h"
#include "http/syntax.h"

#include <lua.h>

struct ml_http_headers {
    char *bytes;
    struct ml_http_field *fields; /* in the order of the lines; slices are places in `bytes` */
    uint32_t size, room;          /* of the bytes; without fields, `room` may be above 0, too */
    uint32_t count, field_room;
    bool is_sent;  /* the object cannot be changed any more */
    bool is_query; /* names keep their case, names and values may hold any byte */
};

/* A line of the object. Not zero-terminated; valid until the object is changed or collected. */
struct ml_http_line {
    const char *name, *value;
    size_t name_size, value_size;
    enum ml_http_name known; /* ML_HTTP_OTHER for a name of a query */
};

extern const char ml_http_headers_type[];

/* Pushes a copy of a parsed head's fields. Raises without memory. */
struct ml_http_headers *ml_http_push_headers(lua_State *L, const struct ml_http_head *head);

/* Copies the fields of a head to an empty object, which has room for them and for the head's `size`
 * bytes. Never raises. */
void ml_http_headers_fill(struct ml_http_headers *headers, const struct ml_http_head *head,
                          size_t size);

/* Pushes an empty object with room for `fields` fields of `bytes` bytes. */
struct ml_http_headers *ml_http_push_new_headers(lua_State *L, uint32_t fields, uint32_t bytes);

/* The object at `index`. Raises for any other value. */
struct ml_http_headers *ml_http_check_headers(lua_State *L, int index);

/* The object at `index`. NULL: another value. */
struct ml_http_headers *ml_http_test_headers(lua_State *L, int index);

/* Reads the line at *at, and moves *at to the next; start with 0. False: there is no further
 * line. */
bool ml_http_headers_next(const struct ml_http_headers *headers, size_t *at,
                          struct ml_http_line *line);

/* The first value of that name, in any case. NULL: none. */
const char *ml_http_headers_find(const struct ml_http_headers *headers, const char *name,
                                 size_t name_size, size_t *value_size);

/* Adds a line to the object at `index`. Raises without memory, and for a name or value that cannot
 * be sent. */
void ml_http_headers_add(lua_State *L, int index, const char *name, size_t name_size,
                         const char *value, size_t value_size);

/* Removes all lines of that name. */
void ml_http_headers_remove(struct ml_http_headers *headers, const char *name, size_t name_size);

/* ---- for the modules beside this one ---- */

/* The most bytes and fields of one object; for more, the script gets an error. */
enum { ML_HTTP_HEADERS_BYTES = 1 << 30, ML_HTTP_HEADERS_FIELDS = 1 << 20 };

/* A name that lines are compared with. */
struct ml_http_key {
    const char *text;
    size_t size;
    enum ml_http_name known; /* ML_HTTP_OTHER for a name of a query */
};

struct ml_http_key ml_http_headers_key(const struct ml_http_headers *headers, const char *text,
                                       size_t size);

/* The place of the next field of that name, from `at` on; the count of fields: there is none. */
uint32_t ml_http_headers_find_key(const struct ml_http_headers *headers,
                                  const struct ml_http_key *name, uint32_t at);

void ml_http_headers_remove_key(struct ml_http_headers *headers, const struct ml_http_key *name);

/* The size of all names and values. */
size_t ml_http_headers_bytes(const struct ml_http_headers *headers);

/* Makes room in the object at `index` for more fields and bytes. Raises for too many, and without
 * memory. */
void ml_http_headers_reserve(lua_State *L, int index, struct ml_http_headers *headers,
                             size_t fields, size_t bytes);

/* Appends a line without checks; there is room. */
void ml_http_headers_put(struct ml_http_headers *headers, const struct ml_http_line *line);

/* Appends a line, and checks its value. */
void ml_http_headers_add_line(lua_State *L, int index, struct ml_http_headers *headers,
                              const struct ml_http_key *name, const char *value, size_t value_size);

/* Raises unless it is a name. */
void ml_http_check_name(lua_State *L, const char *name, size_t size);

/* The value without spaces at both ends, as those would not arrive. Raises for control
 * characters. */
struct ml_http_text ml_http_check_value(lua_State *L, const struct ml_http_key *name,
                                        const char *value, size_t size);

#endif
