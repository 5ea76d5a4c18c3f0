/*
 * An exchange over HTTP/1: where its request's body is, what frames its answer. The carrier of
 * HTTP/1 is here (sending) and in http/http1_body.h (receiving). Knows no handler.
 */
#ifndef ML_HTTP_HTTP1_H
#define ML_HTTP_HTTP1_H

#include "http/answer.h"
#include "http/chunked.h"
#include "http/connection.h"

struct ml_http1_trailers;

enum { ML_HTTP1_FIELDS = 100 };

struct ml_http1 {
    struct ml_http_exchange x;
    struct ml_http_connection *connection;
    struct ml_http_field fields[ML_HTTP1_FIELDS];
    uint64_t body_left;            /* bytes of the body; of one in chunks: of those that are there */
    struct ml_http_chunked chunks; /* of a body in chunks */
    char *long_head;               /* malloc'd: the bytes of one that has no room below; or NULL */
    struct ml_http1_trailers *trailers; /* NULL: none yet */
    size_t trailers_seen;          /* bytes of them at the front of the input */
    int64_t answer_left;           /* bytes that the answer's content-length still promises */
    enum ml_http_framing framing;  /* of the answer */
    bool continue_sent;
    char bytes[]; /* of the head, in the rest of the block */
};

static inline struct ml_http1 *ml_http1_of(struct ml_http_exchange *x)
{
    return ml_container_of(x, struct ml_http1, x);
}

extern const struct ml_http_carrier ml_http1_carrier;

#endif
