/*
 * The client's side of HTTP/2: a connection that carries many exchanges at a time (RFC 9113, over
 * nghttp2). One task receives and one sends; both are the caller's to start, as daemons. Knows
 * neither Lua nor pools.
 */
#ifndef ML_HTTP_HTTP2_CLIENT_H
#define ML_HTTP_HTTP2_CLIENT_H

#include "http/http2_request.h"

/* Takes hold of a stream whose peer speaks HTTP/2. 0; -EOPNOTSUPP: nghttp2 is not installed;
 * -ENOMEM. The stream and the client stay where they are until both tasks have ended. */
int ml_http2_client_open(struct ml_http2_client *c, struct ml_stream *stream);

/* The bodies of the two tasks: 0 once the connection has ended, or -ECANCELED; may wait. They close
 * the stream. */
int ml_http2_client_receive(struct ml_http2_client *c);
void ml_http2_client_send(struct ml_http2_client *c);

/* Says goodbye and ends: exchanges that are not over fail. Idempotent, never waits. */
void ml_http2_client_close(struct ml_http2_client *c);

/* Both tasks have ended, or never run again. Exchanges may outlive it, and are dead then. */
void ml_http2_client_release(struct ml_http2_client *c);

#endif
