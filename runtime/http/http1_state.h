/*
 * What a connection of HTTP/1 at the server, and the exchange that it carries now, consist of; the
 * connection (http/connection.h), its exchange (http/http1.h) and the body's reader
 * (http/http1_body.h) share it.
 */
#ifndef ML_HTTP_HTTP1_STATE_H
#define ML_HTTP_HTTP1_STATE_H

#include "http/answer.h"
#include "http/chunked.h"
#include "http/outbox.h"

struct ml_http1;
struct ml_scope;

struct ml_http_connection {
    struct ml_http_connection_link link; /* among the server's */
    struct ml_http_server *server;
    struct ml_stream *stream; /* the caller's */
    void *context;
    struct ml_http_outbox out;
    struct ml_departure departure; /* of the peer: http/http1_peer.c */
    struct ml_link gone_waiters;   /* for that */
    struct ml_scope *scope;        /* around the handler; NULL: none runs */
    uint64_t scope_serial;
    struct ml_http1 *current; /* the request that is being received or answered; NULL: none */
    uint32_t seen;            /* bytes of a head at the front of the input, which is not whole */
    uint32_t served;
    ml_time began;
    ml_time head_deadline; /* of the head that is being received */
    bool has_left;         /* the peer; told once */
    bool is_waiting;       /* for the first byte or the rest of a head */
    bool is_plain;         /* the peer sends HTTP to a port of TLS: that is its answer */
    bool is_last;          /* nothing is read after the current exchange */
    bool is_cut;           /* the last answer is not whole: the peer is to see it */
    bool is_over;          /* nothing is sent or received any more */
    bool lingers;          /* the peer may be sending still when it ends */
};

struct ml_http1_trailers;

enum { ML_HTTP1_FIELDS = 100 };

/* The fields of a head and its bytes: a block of the server's. */
struct ml_http1_room {
    struct ml_http_field fields[ML_HTTP1_FIELDS];
    char bytes[];
};

struct ml_http1 {
    struct ml_http_exchange x;
    struct ml_http_connection *connection;
    struct ml_http1_room *room; /* NULL: the head is packed */
    uint64_t body_left;         /* bytes of the body; of one in chunks: of those that are there */
    struct ml_http_chunked chunks; /* of a body in chunks */
    void *packed; /* bytes of a head that has no room above, or, without `room`, the
                     fields and the bytes; or NULL */
    uint32_t head_size;
    struct ml_http1_trailers *trailers; /* NULL: none yet */
    size_t trailers_seen;               /* bytes of them at the front of the input */
    int64_t answer_left;                /* bytes that the answer's content-length still promises */
    enum ml_http_framing framing;       /* of the answer */
    bool continue_sent;
};

static inline struct ml_http1 *ml_http1_of(struct ml_http_exchange *x)
{
    return ml_container_of(x, struct ml_http1, x);
}

#endif
