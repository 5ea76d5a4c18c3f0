/*
 * What becomes of the requests of an HTTP/2 connection: a handler in a task of its own, or an
 * answer without one. Knows nothing of frames.
 */
#ifndef ML_HTTP_HTTP2_HANDLERS_H
#define ML_HTTP_HTTP2_HANDLERS_H

#include "http/http2_connection.h"

/* The head of a request is there; problem: 0, or the ml_http_error that it is answered with. Never
 * waits. */
void ml_http2_begin_request(struct ml_http2_connection *c, struct ml_http2_stream *s, int problem);

/* Frees a stream that neither nghttp2 nor a handler has any more. */
void ml_http2_release_if_over(struct ml_http2_stream *s);

#endif
