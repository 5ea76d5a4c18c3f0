/*
 * The peer of a connection of HTTP/1 that leaves: who asks, who waits for it, whose handler it
 * cancels. Knows nothing of how the news comes (io/departure.h).
 */
#ifndef ML_HTTP_HTTP1_PEER_H
#define ML_HTTP_HTTP1_PEER_H

#include "http/http1_state.h"

void ml_http1_peer_init(struct ml_http_connection *c);

/* The scope around a handler, which the running task opens and closes. */
void ml_http1_peer_guard(struct ml_http_connection *c);

/* True: the handler was cancelled because the peer has left. */
bool ml_http1_peer_unguard(struct ml_http_connection *c);

/* The exchange is over: no task waits for its peer any more. */
void ml_http1_peer_forget(struct ml_http_connection *c);

/* As the carrier has them. */
void ml_http1_heed(struct ml_http_exchange *x);
bool ml_http1_gone(struct ml_http_exchange *x);
int ml_http1_watch(struct ml_http_exchange *x, struct ml_waiter *waiter, ml_time *again);
void ml_http1_unwatch(struct ml_http_exchange *x);

#endif
