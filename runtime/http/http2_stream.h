/*
 * An exchange over HTTP/2: one stream of a connection, with the buffers of its request's and its
 * answer's body between the handler and nghttp2. The carrier of HTTP/2 is here. Knows neither how
 * streams come to be nor when their handlers run.
 *
 * Cost of a request: three allocations of ours, those of nghttp2, and one for each body; bodies are
 * copied into the buffer, into nghttp2's frame and into the bytes for the socket.
 */
#ifndef ML_HTTP_HTTP2_STREAM_H
#define ML_HTTP_HTTP2_STREAM_H

#include "http/exchange.h"
#include "http/http2_head.h"
#include "http/http2_session.h"
#include "http/server.h"

struct ml_scope;

/* What a connection of HTTP/2 has that its streams need. */
struct ml_http2_peer {
    struct ml_http2_session session;
    struct ml_http_server *server;
    struct ml_link streams; /* those that nghttp2 knows or whose handler runs */
    uint32_t running;       /* handlers, begun or about to */
    uint32_t draining;      /* answers that are complete, and not yet nghttp2's */
    uint64_t answered;      /* answers that the peer has taken whole */
};

struct ml_http2_stream {
    struct ml_http_exchange x;
    struct ml_link link;
    struct ml_http2_peer *peer;
    struct ml_link waiters; /* its handler: for input, for room, for the peer to leave */
    struct ml_scope *scope; /* around the handler; NULL: it does not run */
    uint64_t scope_serial;
    struct ml_http2_head coming; /* a head, or trailers, that is not whole yet */
    struct ml_buffer text;       /* the head */
    struct ml_buffer trailer_text;
    struct ml_http_head trailers;
    struct ml_http_field *trailer_fields; /* malloc'd; NULL: none came */
    struct ml_buffer in;                  /* of the request's body, not yet read */
    struct ml_buffer out;                 /* of the answer's, not yet nghttp2's */
    void *end_fields;                     /* malloc'd: the answer's trailers; NULL: none */
    int end_field_count;
    int64_t answer_left; /* bytes that content-length still promises; -1: it promises none */
    int32_t id;
    bool has_head;   /* of the request: what comes now are trailers */
    bool is_counted; /* among the peer's running */
    bool is_closed;  /* nghttp2 has forgotten it */
    bool input_ended;
    bool input_dropped; /* nobody will read what still comes */
    bool output_ended;  /* nothing follows what is in `out` */
    bool is_deferred;   /* nghttp2 waits to be told that there is more */
    bool is_draining;   /* among the peer's */
    bool continue_sent;
    uint16_t field_room;
    struct ml_http_field fields[];
};

static inline struct ml_http2_stream *ml_http2_stream_of(struct ml_http_exchange *x)
{
    return ml_container_of(x, struct ml_http2_stream, x);
}

/* A stream with room for `fields` fields, in the peer's list. NULL: no memory. */
struct ml_http2_stream *ml_http2_stream_new(struct ml_http2_peer *peer, int32_t id,
                                            uint16_t fields);

/* Takes it out of the list and frees it; nghttp2 does not know it any more. */
void ml_http2_stream_free(struct ml_http2_stream *s);

/* The head, whole in `text`, becomes the exchange. */
void ml_http2_stream_begin(struct ml_http2_stream *s);

/* Bytes of the body came, which stay the caller's. 0 or -ENOMEM. Never waits. */
int ml_http2_stream_take(struct ml_http2_stream *s, const uint8_t *bytes, size_t size);

/* Nothing more comes. */
void ml_http2_stream_end_input(struct ml_http2_stream *s);

/* What has come and still comes of the body is of no use any more. */
void ml_http2_stream_drop_input(struct ml_http2_stream *s);

/* nghttp2 has forgotten it: whoever waits in it learns that the peer is gone, and its handler is
 * cancelled where the exchange says so. */
void ml_http2_stream_closed(struct ml_http2_stream *s);

extern const struct ml_http_carrier ml_http2_carrier;

#endif
