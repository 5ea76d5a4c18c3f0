/*
 * An exchange over HTTP/1: where its request's body is, what frames its answer. The carrier of
 * HTTP/1 is here (sending) and in http/http1_body.h (receiving). Knows no handler.
 */
#ifndef ML_HTTP_HTTP1_H
#define ML_HTTP_HTTP1_H

#include "http/answer.h"
#include "http/http1_state.h"

extern const struct ml_http_carrier ml_http1_carrier;

#endif
