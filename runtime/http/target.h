/*
 * Request targets and Host fields by RFC 9112, section 3.2, and RFC 3986. Knows nothing of lines.
 */
#ifndef ML_HTTP_TARGET_H
#define ML_HTTP_TARGET_H

#include "http/message.h"

/* Fills target_form, scheme, authority, path, query and has_query from method and target. 0 or
 * ML_HTTP_BAD_TARGET. */
int ml_http_read_target(struct ml_http_head *head);

/* uri-host [ ":" port ], a port being at most 65535. It may be empty as a whole. */
bool ml_http_is_host(const char *text, size_t size);

#endif
