/* Percent-encoding (RFC 3986, section 2.1), and the encoding of forms. */
#ifndef ML_HTTP_PERCENT_H
#define ML_HTTP_PERCENT_H

#include <stdbool.h>
#include <stddef.h>

/* Writes all bytes but letters, digits and "-._~" as %XX: up to three bytes for each. If `is_form`,
 * a space becomes "+". Returns the number of bytes written. */
size_t ml_percent_encode(const char *text, size_t size, bool is_form, char *out);

/* The reverse: writes at most `size` bytes, also in place. If `is_form`, "+" becomes a space.
 * Returns the number of bytes written; -1: a "%" is not followed by two hexadecimal digits. */
ptrdiff_t ml_percent_decode(const char *text, size_t size, bool is_form, char *out);

#endif
