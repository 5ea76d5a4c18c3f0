/*
 * How a message's body ends, and whether its connection goes on (RFC 9112, sections 6 and 9). Knows
 * heads whose lines have been read.
 */
#ifndef ML_HTTP_FRAMING_H
#define ML_HTTP_FRAMING_H

#include "http/message.h"

/* Of a request; the parser calls it. 0 or an ml_http_error. */
int ml_http_request_framing(struct ml_http_head *head);

/*
 * Of a response, by the method of its request: fills `body`, `content_length`, `is_chunked`,
 * `keep_alive` and `upgrades` of the head. 0 or an ml_http_error: the response contradicts itself.
 * HEAD, 1xx, 204 and 304 have no body whatever their fields say; a 2xx to CONNECT is a tunnel.
 */
int ml_http_response_framing(struct ml_http_head *head, enum ml_http_method method);

#endif
