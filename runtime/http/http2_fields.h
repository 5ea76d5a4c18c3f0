/*
 * Fields as nghttp2 takes them. It copies what it is given, and writes names in lower case; so the
 * fields of a message refer to their names and values where those are. Fields that are to be given
 * later are copies, in one block of memory. Knows no streams.
 */
#ifndef ML_HTTP_HTTP2_FIELDS_H
#define ML_HTTP_HTTP2_FIELDS_H

#include "http/nghttp2.h"

#include <stddef.h>
#include <stdint.h>

/* Fields that need no memory of malloc's, and numbers among the values. */
enum { ML_HTTP2_FIELDS_OWN = 16, ML_HTTP2_NUMBERS = 2 };

struct ml_http2_fields {
    nghttp2_nv *list; /* `own`, or malloc'd */
    size_t count;
    size_t numbers;
    nghttp2_nv own[ML_HTTP2_FIELDS_OWN];
    char digits[ML_HTTP2_NUMBERS][20];
};

/* Room for `count` fields. The struct stays where it is. 0 or -ENOMEM. */
int ml_http2_fields_init(struct ml_http2_fields *f, size_t count);

/* Adds one of them. */
void ml_http2_fields_add(struct ml_http2_fields *f, const char *name, size_t name_size,
                         const char *value, size_t value_size);

/* A zero-terminated name, and a number; ML_HTTP2_NUMBERS at most. */
void ml_http2_fields_add_number(struct ml_http2_fields *f, const char *name, uint64_t number);

/* A copy of the fields, malloc'd; NULL: no memory. */
nghttp2_nv *ml_http2_fields_copy(const struct ml_http2_fields *f);

/* nghttp2 has copied what it was given. */
void ml_http2_fields_release(struct ml_http2_fields *f);

#endif
