/*
 * An exchange over HTTP/2: one stream of a connection at the server. Knows neither how streams come
 * to be nor when their handlers run.
 *
 * Cost of a request: an allocation of ours for its head, those of nghttp2, and one for each body.
 */
#ifndef ML_HTTP_HTTP2_STREAM_H
#define ML_HTTP_HTTP2_STREAM_H

#include "http/exchange.h"
#include "http/http2_flow.h"
#include "http/http2_head.h"
#include "http/server.h"

struct ml_scope;

/* The part of a connection of HTTP/2 that its streams need. */
struct ml_http2_peer {
    struct ml_http2_session session;
    struct ml_http_server *server;
    struct ml_link streams; /* those that nghttp2 knows or whose handler runs */
    struct ml_link pending; /* requests that no task has taken yet, the first first */
    uint32_t running;       /* handlers, begun or about to */
    uint32_t tasks;         /* that run them */
    bool has_heir;          /* one of those has not begun yet */
    uint64_t answered;      /* answers that the peer has taken whole */
};

struct ml_http2_stream {
    struct ml_http_exchange x;
    struct ml_http2_flow flow;
    struct ml_link link;
    struct ml_link turn; /* among the peer's pending */
    struct ml_http2_peer *peer;
    struct ml_scope *scope; /* around the handler; NULL: it does not run */
    uint64_t scope_serial;
    void *kept; /* malloc'd: the head's fields and bytes; NULL: none has come */
    struct ml_buffer trailer_text;
    struct ml_http_head trailers;
    struct ml_http_field *trailer_fields; /* malloc'd; NULL: none came */
    int64_t answer_left; /* bytes that content-length still promises; -1: it promises none */
    bool has_head;       /* of the request: what comes now are trailers */
    bool is_counted;     /* among the peer's running */
    bool is_answered;    /* the end of the answer is out */
    bool continue_sent;
    bool is_websocket; /* it asks for one: RFC 8441 */
};

static inline struct ml_http2_stream *ml_http2_stream_of(struct ml_http_exchange *x)
{
    return ml_container_of(x, struct ml_http2_stream, x);
}

/* A stream in the peer's list. NULL: no memory. */
struct ml_http2_stream *ml_http2_stream_new(struct ml_http2_peer *peer, int32_t id);

/* Copies the head, read from the bytes of `text`, so that it stays as long as the stream. 0 or
 * -ENOMEM. */
int ml_http2_stream_keep_head(struct ml_http2_stream *s, const struct ml_buffer *text);

/* Takes it out of the list and frees it; nghttp2 does not know it any more. */
void ml_http2_stream_free(struct ml_http2_stream *s);

/* The peer has left: cancels the handler where the exchange says so. */
void ml_http2_stream_gone(struct ml_http2_stream *s);

/* nghttp2 has forgotten it: a wait in it ends, and its peer has left. */
void ml_http2_stream_closed(struct ml_http2_stream *s);

#endif
