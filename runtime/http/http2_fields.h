/*
 * Fields as nghttp2 takes them, with copies of their names, in lower case, and values: one block of
 * memory. Knows no streams.
 */
#ifndef ML_HTTP_HTTP2_FIELDS_H
#define ML_HTTP_HTTP2_FIELDS_H

#include "http/nghttp2.h"

#include <stddef.h>
#include <stdint.h>

struct ml_http2_fields {
    nghttp2_nv *list; /* malloc'd: the block */
    size_t count;
    char *at; /* where the next bytes go */
};

/* Room for `count` fields whose names and values have `bytes` bytes. 0 or -ENOMEM. */
int ml_http2_fields_init(struct ml_http2_fields *f, size_t count, size_t bytes);

/* Adds one of them. */
void ml_http2_fields_add(struct ml_http2_fields *f, const char *name, size_t name_size,
                         const char *value, size_t value_size);

/* A zero-terminated name, and a number of at most 20 digits. */
void ml_http2_fields_add_number(struct ml_http2_fields *f, const char *name, uint64_t number);

/* Frees the block: nghttp2 has copied what it was given. */
void ml_http2_fields_release(struct ml_http2_fields *f);

#endif
