/*
 * The struct of an HTTP/2 connection at the server, which the files of that connection share:
 * http/http2.c (its life), http/http2_callbacks.c (what comes), http/http2_handlers.c (what becomes
 * of requests).
 */
#ifndef ML_HTTP_HTTP2_CONNECTION_H
#define ML_HTTP_HTTP2_CONNECTION_H

#include "http/http2_stream.h"

/* Streams at a time, and bytes of a request's body that may come before the handler reads them. */
enum { ML_HTTP2_STREAMS = 100, ML_HTTP2_WINDOW = 64 * 1024 };

struct ml_http2_connection {
    struct ml_http2_peer peer;
    struct ml_http_connection_link link; /* among the server's */
    struct ml_http2_head coming;         /* the head, or trailers, of which frames come */
    struct ml_buffer text;               /* a head that is whole, while it is read into ... */
    struct ml_http_field *fields;        /* ... these, as many as a head may have; or NULL */
    ml_time began;
    ml_time head_deadline; /* of the head that is being received; ML_FOREVER: none is */
    uint64_t glitches;     /* frames that brought nothing */
    bool is_in_head;       /* frames of `coming` are still to come */
    bool has_said_goodbye;
};

static inline struct ml_hub *ml_http2_hub(const struct ml_http2_connection *c)
{
    return c->peer.server->io->hub;
}

#endif
