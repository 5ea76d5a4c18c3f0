/*
 * Header fields, or the fields of a query, as scripts see them: an object that is read as a table,
 * a name in any case. It owns its bytes, so nothing of a connection outlives its use. Knows neither
 * requests nor responses.
 *
 * One made of a parsed head is a single block of memory; strings are made when a script asks for
 * them. One that is changed grows into a second block.
 */
#ifndef ML_BINDINGS_HTTP_HEADERS_H
#define ML_BINDINGS_HTTP_HEADERS_H

#include "http/head.h"

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

/* Pushes the fields of a query (`a=1&b=%20`), decoded; a '+' is a space. */
struct ml_http_headers *ml_http_push_query(lua_State *L, const char *text, size_t size);

/*
 * Pushes a new object of what a script gave as headers at `index`: such an object, or a table of
 * names with a string, a number or a list of them each; nothing or nil: without fields. Fields
 * that belong to a connection or frame a message are left out, those that a Connection field names
 * as well. Raises for anything else, and for a name or value that cannot be sent; `what` names the
 * option in the message.
 */
struct ml_http_headers *ml_http_take_headers(lua_State *L, int index, const char *what);

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

/* moonlet.http.headers. */
int ml_open_http_headers(lua_State *L);

/* Creates the metatable; stack unchanged. Once is enough, more do no harm. */
void ml_open_http_headers_type(lua_State *L);

#endif
