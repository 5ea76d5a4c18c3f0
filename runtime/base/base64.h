/*
 * Base64 and hexadecimal digits (RFC 4648), strict: of several spellings of the same bytes only the
 * canonical one is read. Allocates nothing.
 */
#ifndef ML_BASE_BASE64_H
#define ML_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* The most bytes that ml_base64_encode() and ml_base64_decode() write. */
#define ML_BASE64_SIZE(size) (((size) / 3 + 1) * 4)
#define ML_BASE64_DECODED_SIZE(size) ((size) / 4 * 3 + 2)

/* The forms: with "+/" and "=" at the end; the same without "="; with "-_" and without "=". */
enum ml_base64 { ML_BASE64, ML_BASE64_BARE, ML_BASE64_URL };

/* Returns the bytes written. */
size_t ml_base64_encode(const void *data, size_t size, enum ml_base64 form, char *out);

/*
 * Returns the bytes written, or -1 with `bad` the offset of the wrong byte (`size`: the end comes
 * too early). Bits that are left over must be 0. A text in ML_BASE64_URL may end in the right
 * number of "=".
 */
ptrdiff_t ml_base64_decode(const char *text, size_t size, enum ml_base64 form, void *out,
                           size_t *bad);

/* Writes 2 * size digits, in lower case. */
void ml_hex_encode(const void *data, size_t size, char *out);

/* The reverse, from digits in any case: size / 2 bytes, or -1 with `bad` as above. */
ptrdiff_t ml_hex_decode(const char *text, size_t size, void *out, size_t *bad);

#endif
