/*
 * How an exchange receives and sends over a stream of HTTP/2: the operations of http/exchange.h.
 */
#ifndef ML_HTTP_HTTP2_CARRIER_H
#define ML_HTTP_HTTP2_CARRIER_H

#include "http/http2_stream.h"

/* The head of the stream becomes its exchange, which is carried over the stream from now on. */
void ml_http2_carrier_begin(struct ml_http2_stream *s);

#endif
