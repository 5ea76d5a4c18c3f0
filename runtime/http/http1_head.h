/*
 * The memory of a request of HTTP/1: its exchange, and the room for its head. The exchange stays
 * where it is; the head moves into less memory if its connection becomes another protocol's.
 */
#ifndef ML_HTTP_HTTP1_HEAD_H
#define ML_HTTP_HTTP1_HEAD_H

#include "http/http1_state.h"

/* A request of which nothing has come; NULL: no memory. */
struct ml_http1 *ml_http1_take(struct ml_http_server *server);
void ml_http1_give(struct ml_http_server *server, struct ml_http1 *r);

/* An empty head. */
void ml_http1_clear_head(struct ml_http1 *r);

/* Copies the `size` bytes of the head that has been read. 0 or -ENOMEM. */
int ml_http1_keep_head(struct ml_http_server *server, struct ml_http1 *r, const char *bytes,
                       size_t size);

/* Gives the room back: the head takes as much memory as it needs. Without memory for that it stays
 * as it is. */
void ml_http1_pack_head(struct ml_http_server *server, struct ml_http1 *r);

#endif
