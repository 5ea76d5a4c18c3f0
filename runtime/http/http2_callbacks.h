/*
 * nghttp2's session of a server, and what it tells of the frames that come and go. Knows nothing of
 * waiting.
 */
#ifndef ML_HTTP_HTTP2_CALLBACKS_H
#define ML_HTTP_HTTP2_CALLBACKS_H

#include "http/http2_connection.h"

/* Makes the session, whose callbacks get the connection. 0 or -ENOMEM. */
int ml_http2_new_session(struct ml_http2_connection *c);

#endif
