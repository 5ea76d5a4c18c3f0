/*
 * A connection of HTTP/2 at the server (RFC 9113, over nghttp2): one task receives, one sends, and
 * each stream's handler has a task of its own. Knows nothing of what handlers do.
 *
 * A peer can have no more handlers running than streams are allowed, those of streams that it has
 * reset included. Frames that only make work (pings, settings, resets, empty data) are counted;
 * a peer whose share of them is too large is told ENHANCE_YOUR_CALM and cut off.
 */
#ifndef ML_HTTP_HTTP2_H
#define ML_HTTP_HTTP2_H

#include "http/server.h"

/*
 * Whether the client begins with HTTP/2: by its choice in the TLS handshake, which has been made,
 * or by its first bytes, for which this waits. 1: it does; 0; or an error of reads.
 */
int ml_http2_is_spoken(struct ml_stream *stream, ml_time deadline);

struct ml_http2_connection;

/* A connection on a stream that is open, in *c. 0; -EOPNOTSUPP: nghttp2 is not installed;
 * -ENOMEM. */
int ml_http2_open(struct ml_http_server *server, struct ml_stream *stream,
                  struct ml_http2_connection **c);

/* Serves its stream to the end, with the server's `spawn` and `handle`, and closes it. May wait. 0
 * or an error: -ECANCELED, or what broke the connection. */
int ml_http2_run(struct ml_http2_connection *c);

/* Frees it. It has been served, or no task of it runs any more. Never waits. */
void ml_http2_release(struct ml_http2_connection *c);

#endif
