/* Texts of URLs: one from its parts, and the target of a reference (RFC 3986, section 5). */
#ifndef ML_HTTP_URL_WRITE_H
#define ML_HTTP_URL_WRITE_H

#include "http/url.h"

/*
 * Writes the URL: scheme and host in lower case, all else as it stands. Returns the bytes written,
 * at most the size of the text that was parsed.
 */
size_t ml_url_write(const struct ml_url *url, char *out);

/* Bytes that ml_url_join() may write for the two. */
size_t ml_url_join_room(const struct ml_url *base, const struct ml_url *reference);

/*
 * Writes the target of a reference found in a document at `base` (RFC 3986, section 5.2; strict: a
 * reference with the base's scheme is absolute). Returns the bytes written. The result has yet to
 * be parsed: "//" and "//a%41" are references, but name no host to a base of HTTP.
 */
size_t ml_url_join(const struct ml_url *base, const struct ml_url *reference, char *out);

#endif
