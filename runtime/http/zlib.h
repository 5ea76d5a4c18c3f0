/*
 * zlib, loaded when it is first needed. Its functions are called through a table, typed by zlib's
 * own header.
 */
#ifndef ML_HTTP_ZLIB_H
#define ML_HTTP_ZLIB_H

#include <stdbool.h>
#include <stdint.h>
#include <zlib.h>

#define ML_ZLIB_FUNCTIONS(X)                                                                       \
    X(deflate)                                                                                     \
    X(deflateEnd)                                                                                  \
    X(deflateInit2_)                                                                               \
    X(deflateReset)                                                                                \
    X(inflate)                                                                                     \
    X(inflateEnd)                                                                                  \
    X(inflateInit2_)                                                                               \
    X(inflateReset)

struct ml_zlib {
    void *library;
#define ML_ZLIB_MEMBER(name) __typeof__(name) *(name);
    ML_ZLIB_FUNCTIONS(ML_ZLIB_MEMBER)
#undef ML_ZLIB_MEMBER
};

/* Loads the library and fills the table. False: it is not installed, or lacks a function. */
bool ml_zlib_load(struct ml_zlib *z);

/* deflateInit2() and inflateInit2() of zlib's header, through the table. window_bits: as there, 8
 * to 15; negative: without a header; 16 more: gzip. Z_OK, or an error of zlib's. */
int ml_zlib_begin_deflate(const struct ml_zlib *z, z_stream *stream, int level, int window_bits,
                          int memory_level);
int ml_zlib_begin_inflate(const struct ml_zlib *z, z_stream *stream, int window_bits);

/* zlib's counters are smaller than size_t: cuts the size to them; the loop in the caller comes
 * back. */
static inline uInt ml_zlib_size(size_t size)
{
    return size < UINT32_MAX ? (uInt)size : UINT32_MAX;
}

#endif
