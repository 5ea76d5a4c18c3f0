/*
 * The error codes of HTTP/2 (RFC 9113, 7) in words, as a client tells what its server did. Knows
 * no connection.
 */
#ifndef ML_HTTP_HTTP2_REASON_H
#define ML_HTTP_HTTP2_REASON_H

#include <stdint.h>

/* The event with which the code came. */
enum ml_http2_event {
    ML_HTTP2_RESET,   /* the server reset a stream */
    ML_HTTP2_GOODBYE, /* it ended the connection */
    ML_HTTP2_BREACH   /* we ended it, since the server broke the rules */
};

/* A sentence without its full stop; static. */
const char *ml_http2_reason(enum ml_http2_event event, uint32_t code);

#endif
