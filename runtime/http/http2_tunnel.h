/*
 * The two bodies of an HTTP/2 stream as one stream of bytes, for protocols that run over them: a
 * WebSocket (RFC 8441). A transport, as io/memory.h is one. Knows neither requests nor protocols.
 *
 * The end of the input is END_STREAM; a reset is -ECONNRESET. Closing ends the output behind what
 * was written, as the kernel does for a socket.
 */
#ifndef ML_HTTP_HTTP2_TUNNEL_H
#define ML_HTTP_HTTP2_TUNNEL_H

#include "http/http2_flow.h"

/* Opens `s`, a closed stream, over the bodies, which have no other user from now on. They may end
 * first: then it is closed. Never waits. */
void ml_http2_tunnel_open(struct ml_http2_flow *flow, struct ml_stream *s);

/* Closes the stream over the bodies, if there is one. Never waits. */
void ml_http2_tunnel_close(struct ml_http2_flow *flow);

#endif
