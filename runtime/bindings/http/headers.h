/*
 * Header fields, or the fields of a query, as scripts see them: an object that is read as a table,
 * a name in any case. It owns its bytes, so nothing of a connection outlives its use. Knows neither
 * requests nor responses.
 *
 * Those who make objects have called ml_open_http_headers_type() when they were opened.
 *
 * One made of a parsed head is a single block of memory; strings are made when a script asks for
 * them. One that is changed grows into a second block.
 */
#ifndef ML_BINDINGS_HTTP_HEADERS_H
#define ML_BINDINGS_HTTP_HEADERS_H

#include "http/head.h"
#include "http/syntax.h"

#include <lua.h>

struct ml_http_headers {
    char *bytes;
    struct ml_http_field *fields; /* in their order; slices are places in `bytes` */
    uint32_t size, room; /* of the bytes; of those without a field the room has some, too */
    uint32_t count, field_room;
    bool is_sent;  /* nothing of it can be changed any more */
    bool is_query; /* names keep their case, names and values may hold any byte */
};

/* A line of it. Not zero-terminated; valid until the object is changed or collected. */
struct ml_http_line {
    const char *name, *value;
    size_t name_size, value_size;
    enum ml_http_name known; /* ML_HTTP_OTHER for a name of a query */
};

extern const char ml_http_headers_type[];

/* Pushes the fields of a head that was parsed, copied. Raises without memory. */
struct ml_http_headers *ml_http_push_headers(lua_State *L, const struct ml_http_head *head);

/* Copies the fields of a head to an object without any that has room for them and for the head's
 * `size` bytes. Never raises. */
void ml_http_headers_fill(struct ml_http_headers *headers, const struct ml_http_head *head,
                          size_t size);

/* Pushes an object without fields, with room for so many and for so many bytes of theirs. */
struct ml_http_headers *ml_http_push_new_headers(lua_State *L, uint32_t fields, uint32_t bytes);

/* The object at `index`; raises for anything else. */
struct ml_http_headers *ml_http_check_headers(lua_State *L, int index);

/* The same; NULL for anything else. */
struct ml_http_headers *ml_http_test_headers(lua_State *L, int index);

/* The line at *at, which moves to the next: start with 0. False: there is none any more. */
bool ml_http_headers_next(const struct ml_http_headers *headers, size_t *at,
                          struct ml_http_line *line);

/* The first value of that name, in any case; NULL: none. */
const char *ml_http_headers_find(const struct ml_http_headers *headers, const char *name,
                                 size_t name_size, size_t *value_size);

/* Adds a line to the object at `index`. Raises without memory, and for what cannot be sent. */
void ml_http_headers_add(lua_State *L, int index, const char *name, size_t name_size,
                         const char *value, size_t value_size);

/* Removes all lines of that name. */
void ml_http_headers_remove(struct ml_http_headers *headers, const char *name, size_t name_size);

/* ---- for the modules beside this one ---- */

/* Bytes and fields of one object; more is an error of the script's. */
enum { ML_HTTP_HEADERS_BYTES = 1 << 30, ML_HTTP_HEADERS_FIELDS = 1 << 20 };

/* A name, as lines are looked for. */
struct ml_http_key {
    const char *text;
    size_t size;
    enum ml_http_name known; /* ML_HTTP_OTHER for a name of a query */
};

struct ml_http_key ml_http_headers_key(const struct ml_http_headers *headers, const char *text,
                                       size_t size);

/* The place of the next field of that name from `at` on; the count: there is none. */
uint32_t ml_http_headers_find_key(const struct ml_http_headers *headers,
                                  const struct ml_http_key *name, uint32_t at);

void ml_http_headers_remove_key(struct ml_http_headers *headers, const struct ml_http_key *name);

/* Bytes of all names and values. */
size_t ml_http_headers_bytes(const struct ml_http_headers *headers);

/* Makes room in the object at `index` for so many more fields and bytes of theirs. Raises for too
 * many, and without memory. */
void ml_http_headers_reserve(lua_State *L, int index, struct ml_http_headers *headers,
                             size_t fields, size_t bytes);

/* Appends a line for which there is room, unchecked. */
void ml_http_headers_put(struct ml_http_headers *headers, const struct ml_http_line *line);

/* Appends a line, its value checked. */
void ml_http_headers_add_line(lua_State *L, int index, struct ml_http_headers *headers,
                              const struct ml_http_key *name, const char *value, size_t value_size);

/* Raises for what is no name. */
void ml_http_check_name(lua_State *L, const char *name, size_t size);

/* The value without spaces at both ends, which would not arrive. Raises for control characters. */
struct ml_http_text ml_http_check_value(lua_State *L, const struct ml_http_key *name,
                                        const char *value, size_t size);

#endif
