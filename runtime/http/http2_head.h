/*
 * A message's head as HTTP/2 sends it, written anew as HTTP/1.1 has it and read by the same parser:
 * one representation of heads, and one set of rules for both versions. Knows neither nghttp2 nor
 * connections.
 */
#ifndef ML_HTTP_HTTP2_HEAD_H
#define ML_HTTP_HTTP2_HEAD_H

#include "base/buffer.h"
#include "http/head.h"

enum ml_http2_pseudo {
    ML_HTTP2_METHOD,
    ML_HTTP2_PATH,
    ML_HTTP2_AUTHORITY,
    ML_HTTP2_STATUS,
    ML_HTTP2_PROTOCOL,
    ML_HTTP2_PSEUDOS
};

/* The part of a head that has come so far. Zeroed: nothing. */
struct ml_http2_head {
    struct ml_buffer pseudo; /* the values of pseudo fields, one behind the other */
    struct ml_buffer lines;  /* field lines */
    struct ml_buffer
        cookie; /* the value that all `cookie` fields make together (RFC 9113, 8.2.3) */
    struct ml_http_slice values[ML_HTTP2_PSEUDOS];
    bool has[ML_HTTP2_PSEUDOS];
    bool has_host;    /* a `host` field is among the lines */
    bool is_too_long; /* more came than `limit`; the rest is not kept */
};

/* Takes in a field, or a pseudo field, whose bytes nghttp2 has checked. `limit`: bytes of all
 * fields. 0 or -ENOMEM. */
int ml_http2_head_add(struct ml_http2_head *h, const char *name, size_t name_size,
                      const char *value, size_t value_size, size_t limit);

/* Whether the request asks for a WebSocket (RFC 8441). Its head is written as HTTP/1.1 has it: a
 * GET with Upgrade and Connection. */
bool ml_http2_head_is_websocket(const struct ml_http2_head *h);

/*
 * The head is complete: writes it into `text`, which is empty, and parses it into `head`, whose
 * fields are the caller's. *problem: 0, or the ml_http_error that a server answers. 0 or -ENOMEM.
 */
int ml_http2_head_finish(struct ml_http2_head *h, struct ml_buffer *text, struct ml_http_head *head,
                         const struct ml_http_limits *limits, int *problem);

/* The same for a response; the caller's framing of its body is still to come. */
int ml_http2_response_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem);

/* The same for the fields behind a body. */
int ml_http2_trailers_finish(struct ml_http2_head *h, struct ml_buffer *text,
                             struct ml_http_head *head, const struct ml_http_limits *limits,
                             int *problem);

/* Forgets what was taken in; the memory stays for the next head. */
void ml_http2_head_clear(struct ml_http2_head *h);

/* The same, and frees the memory. */
void ml_http2_head_release(struct ml_http2_head *h);

#endif
