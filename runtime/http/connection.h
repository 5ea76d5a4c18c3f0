/*
 * A connection of HTTP/1 at the server, run by one task: waits for requests, hands each to a
 * handler as an exchange, sends the answers. While it waits for a request it holds no memory but
 * this struct. Knows nothing of what handlers do.
 */
#ifndef ML_HTTP_CONNECTION_H
#define ML_HTTP_CONNECTION_H

#include "http/http1_state.h"

/* Of a stream that is open; the struct stays where it is until ml_http_connection_close(). */
void ml_http_connection_open(struct ml_http_connection *c, struct ml_http_server *server,
                             struct ml_stream *stream, void *context);

/* The peer is asked for the version that it speaks, before the first request: while `is_asked` a
 * server that stops closes the connection if nothing has come. The time for a head begins. */
void ml_http_connection_ask(struct ml_http_connection *c, bool is_asked);

/* It speaks another version: the stream is another connection's, and counted there. */
void ml_http_connection_hand_over(struct ml_http_connection *c);

/*
 * Waits for the next request and answers by itself what is none: x->is_refused. 0: it is in *x,
 * until ml_http_connection_finish(); 1: the connection is over, its stream closed or hijacked; or
 * an error: -ECANCELED and what breaks streams.
 */
int ml_http_connection_next(struct ml_http_connection *c, struct ml_http_exchange **x);

/* The handler is done with the exchange: what of its answer is missing is cut off, what it has not
 * read of the body is dropped. May wait. 0 or an error, after which the connection is over. */
int ml_http_connection_finish(struct ml_http_connection *c);

/* Lets go of everything but the stream, which is closed unless it was hijacked. Idempotent; never
 * waits. */
void ml_http_connection_close(struct ml_http_connection *c);

#endif
