/*
 * Takes a chunked body apart (RFC 9112, section 7.1): what is payload in the caller's bytes,
 * nothing is copied. Knows nothing of the fields behind the last chunk: ml_http_parse_trailers().
 *
 * Stricter than the RFC where other parsers are: no white space in a chunk's line. Cost: 2 ns for
 * each byte of a chunk's line, none for payload; 24 bytes of state, no allocation.
 */
#ifndef ML_HTTP_CHUNKED_H
#define ML_HTTP_CHUNKED_H

#include "http/error.h"
#include "http/syntax.h"

/* Extensions of one body in all, and of one chunk, in bytes: no reader knows any, so
 * many of them are an attack. */
#define ML_HTTP_EXTENSIONS_MAX (16 * 1024u)
#define ML_HTTP_EXTENSION_MAX 4096u

struct ml_http_chunked {
    uint64_t left;       /* payload of this chunk that is still to come */
    uint32_t extensions; /* bytes of them so far, of the body */
    uint32_t extension;  /* of the chunk */
    uint8_t digits;      /* of the size */
    uint8_t state;
    int16_t error; /* the one that was met; it stays */
};

/* Before the first byte behind the head. */
static inline void ml_http_chunked_begin(struct ml_http_chunked *chunked)
{
    *chunked = (struct ml_http_chunked){0};
}

/*
 * Takes some of `size` bytes: the framing at their start and at most one run of payload, which is
 * `piece` (size 0: there is none in them) and points into `bytes`. Returns how many were taken, at
 * least one if there is one and the body is not over; the rest is for the next call. Nothing is
 * taken behind the last chunk's line. Negative: an ml_http_error, at every further call, too.
 */
ptrdiff_t ml_http_chunked_feed(struct ml_http_chunked *chunked, const char *bytes, size_t size,
                               struct ml_http_text *piece);

/* The last chunk's line has been taken; the trailer section follows. */
bool ml_http_chunked_is_over(const struct ml_http_chunked *chunked);

/* Room for a chunk's line. */
enum { ML_HTTP_CHUNK_LINE = 20 };

/* Writes the line before a chunk of `size` bytes to `line`; behind the payload belongs CR LF.
 * Returns its size. */
size_t ml_http_chunk_line(char line[ML_HTTP_CHUNK_LINE], uint64_t size);

#endif
