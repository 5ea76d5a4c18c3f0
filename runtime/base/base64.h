/*
 * Base64 and hexadecimal digits (RFC 4648), strict: what has one form only is read in that form
 * only. Allocates nothing.
 */
#ifndef ML_BASE_BASE64_H
#define ML_BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that ml_base64_encode() writes at most, and ml_base64_decode(). */
#define ML_BASE64_SIZE(size) (((size) / 3 + 1) * 4)
#define ML_BASE64_DECODED_SIZE(size) ((size) / 4 * 3 + 2)

/* How it is written: with "+/" and "=" at the end; the same without "="; with "-_", without "=". */
enum ml_base64 { ML_BASE64, ML_BASE64_BARE, ML_BASE64_URL };

/* Returns the bytes written. */
size_t ml_base64_encode(const void *data, size_t size, enum ml_base64 form, char *out);

/*
 * Returns the bytes written, or -1 with `bad` the byte that is wrong (`size`: the end comes too
 * early). Bits that are left over must be 0. Of ML_BASE64_URL the right number of "=" may follow.
 */
ptrdiff_t ml_base64_decode(const char *text, size_t size, enum ml_base64 form, void *out,
                           size_t *bad);

/* Writes 2 * size digits, in lower case. */
void ml_hex_encode(const void *data, size_t size, char *out);

/* The reverse, of digits in any case: size / 2 bytes, or -1 with `bad` as above. */
ptrdiff_t ml_hex_decode(const char *text, size_t size, void *out, size_t *bad);

#endif
