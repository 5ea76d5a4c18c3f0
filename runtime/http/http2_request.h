/*
 * An exchange of a client over HTTP/2: a stream of a connection that it shares with others, and the
 * carrier of those (http/client_exchange.h). Knows neither how the connection is opened nor what
 * nghttp2 tells of it.
 */
#ifndef ML_HTTP_HTTP2_REQUEST_H
#define ML_HTTP_HTTP2_REQUEST_H

#include "http/client_exchange.h"
#include "http/http2_flow.h"
#include "http/http2_head.h"

struct ml_http2_client {
    struct ml_http2_session session;
    struct ml_link requests; /* exchanges whose stream nghttp2 knows */
    uint32_t count;          /* exchanges that have a stream, or will */
    ml_time began;
    uint64_t glitches;      /* frames that brought nothing */
    int failure;            /* why it is closed; 0: it is not */
    const char *problem;    /* the same, a sentence, static; NULL: the error says all */
    struct ml_link settled; /* tasks that wait for the server's settings */
    bool has_settings;      /* they have come */
    bool is_refusing;       /* the server takes no new ones */
    bool is_closed;
};

struct ml_http2_request {
    struct ml_http_client_exchange x;
    struct ml_http2_flow flow;
    struct ml_link link;
    struct ml_http2_client *client;
    struct ml_http2_head coming; /* a head, or trailers, that is not whole yet */
    struct ml_buffer text, trailer_text;
    int interim;       /* heads of status 1xx so far */
    int failure;       /* why no response comes, or not its rest; 0: nothing is wrong */
    bool is_counted;   /* among client->count */
    bool has_reset;    /* the server reset the stream */
    bool has_continue; /* 100 has come */
    bool has_head;     /* the final one is in `text` */
    struct ml_http_field trailer_fields[ML_HTTP_CLIENT_FIELDS];
};

/* Whether another exchange may begin now: the server's limit of streams, and a connection that is
 * good. */
bool ml_http2_client_has_room(const struct ml_http2_client *c);

/* Waits until the server has said what it can: 0; or -EPIPE, or an error of ml_wait(). */
int ml_http2_client_await_settings(struct ml_http2_client *c, ml_time deadline);

/* Whether the server takes requests for WebSockets: RFC 8441. */
bool ml_http2_client_takes_websockets(const struct ml_http2_client *c);

/* After the head of the answer to a request with a protocol: opens `s`, a closed stream, over what
 * follows, until the exchange is released. */
void ml_http2_request_tunnel(struct ml_http2_request *r, struct ml_stream *s);

/* Waits until that stream was closed: 0, or an error of ml_wait(). */
int ml_http2_request_await_tunnel(struct ml_http2_request *r, ml_time deadline);

/* An exchange; its carrier is that of HTTP/2. It has a place among the streams from now on. */
void ml_http2_request_init(struct ml_http2_request *r, struct ml_http2_client *c);

/* Drops it, and gives the memory back. */
void ml_http2_request_release(struct ml_http2_request *r);

/* nghttp2 has forgotten its stream; code: why. */
void ml_http2_request_closed(struct ml_http2_request *r, uint32_t code);

/* The stream is reset unless it is over, and of no use any more; its task gets `error` for what has
 * not come. problem: a sentence, static, or NULL. */
void ml_http2_request_end(struct ml_http2_request *r, int error, const char *problem);

/* The response is wrong: resets the stream, and its task gets `error`. problem: a static sentence.
 */
void ml_http2_request_fail(struct ml_http2_request *r, int error, const char *problem);

#endif
