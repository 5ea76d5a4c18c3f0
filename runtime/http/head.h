/*
 * The head of an HTTP/1.x message, read strictly by RFC 9112: places in the caller's bytes and how
 * the message is framed. Knows nothing of sockets, of memory and of bodies' content.
 *
 * Whatever the RFC calls invalid is an error, after which the connection is of no use. Where input
 * is cut makes no difference: an unfinished line is judged once it holds its LF or another control
 * character, or as the head outgrows its limit. A byte is looked at a bounded number of times, also
 * if they come one by one. No memory is allocated. Measured: a browser's request of 530 bytes with
 * ten fields 217 ns, a short one of 40 bytes 51 (bench/http_head.c).
 */
#ifndef ML_HTTP_HEAD_H
#define ML_HTTP_HEAD_H

#include "http/message.h"

struct ml_http_limits {
    uint32_t head_size;   /* bytes through the empty line; at most INT32_MAX; beyond: 431 */
    uint32_t target_size; /* 414 */
    uint16_t field_count; /* 431; the room for fields is a limit, too */
};

#define ML_HTTP_LIMITS_DEFAULT ((struct ml_http_limits){32 * 1024, 8 * 1024, 100})

/*
 * A request's head from its first byte. `seen`: how many of the bytes were there at the last call
 * for this head, 0 for a new one, which begins anew with the same fields. The bytes may have moved
 * meanwhile. Up to four empty lines may stand before the request line.
 *
 * Returns the size of the head with its empty line; 0: not complete, call again with more bytes; or
 * an ml_http_error. Slices are valid after a positive result only.
 */
int ml_http_parse_request(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                          const struct ml_http_limits *limits);

/* A response's head, likewise; ml_http_response_framing() then says how its body ends. The reason
 * may be missing with the space before it. */
int ml_http_parse_response(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                           const struct ml_http_limits *limits);

/* The fields behind a chunked body's last chunk, likewise: from the first byte behind that line
 * through the empty line, so 2 if there are none. Fields that frame or route a message are
 * refused. */
int ml_http_parse_trailers(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                           const struct ml_http_limits *limits);

/* Field lines as those of a head and nothing else: a part of multipart. */
int ml_http_parse_fields(struct ml_http_head *head, const char *bytes, size_t size, size_t seen,
                         const struct ml_http_limits *limits);

#endif
