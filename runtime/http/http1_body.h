/*
 * The body of a request over HTTP/1: counted, or in chunks with trailers behind them. Knows nothing
 * of answers but the 100 that asks a peer to go on.
 */
#ifndef ML_HTTP_HTTP1_BODY_H
#define ML_HTTP_HTTP1_BODY_H

#include "http/http1_state.h"

/* Of a body that the handler has left unread so much is dropped, in so much time; then the
 * connection ends. */
enum { ML_HTTP1_DRAINED = 256 * 1024 };
#define ML_HTTP1_DRAIN_TIME ML_SECOND

/* Prepares for the body of a request whose head is there. */
void ml_http1_begin_body(struct ml_http1 *r);

/* Of the carrier, see there. */
int ml_http1_read_body(struct ml_http_exchange *x, size_t max, struct ml_piece_of_input *piece);
void ml_http1_consume(struct ml_http_exchange *x, const struct ml_piece_of_input *piece);
const struct ml_http_head *ml_http1_trailers(struct ml_http_exchange *x);

/* Drops what is left of it. 0: the next request may come; 1: there is too much, or it does not
 * come, or is malformed; or an error that broke the stream. May wait. */
int ml_http1_drain(struct ml_http1 *r);

/* Lets go of the trailers. */
void ml_http1_end_body(struct ml_http1 *r);

#endif
