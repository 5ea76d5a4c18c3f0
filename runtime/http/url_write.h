/* Writes the text of a URL: from its parts, or as the target of a reference (RFC 3986, section
 * 5). */
#ifndef ML_HTTP_URL_WRITE_H
#define ML_HTTP_URL_WRITE_H

#include "http/url.h"

/*
 * Writes the URL: scheme and host in lower case, the rest unchanged. Returns the number of bytes
 * written, at most the size of the parsed text.
 */
size_t ml_url_write(const struct ml_url *url, char *out);

/* The most bytes that ml_url_join() may write for the two. */
size_t ml_url_join_room(const struct ml_url *base, const struct ml_url *reference);

/*
 * Writes the target of a reference in a document at `base` (RFC 3986, section 5.2; strict: a
 * reference with the base's scheme is absolute). Returns the number of bytes written. The caller
 * must parse the result: "//" and "//a%41" are references, but name no host for a base of HTTP.
 */
size_t ml_url_join(const struct ml_url *base, const struct ml_url *reference, char *out);

#endif
