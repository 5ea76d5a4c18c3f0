/*
 * Whether bytes are UTF-8 (RFC 3629), told as they come: no surrogates, nothing beyond U+10FFFF, no
 * longer form than need be. Knows no strings.
 */
#ifndef ML_BASE_UTF8_H
#define ML_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* A zeroed one is at the beginning of a text. */
struct ml_utf8 {
    unsigned char missing;   /* bytes that the last character still needs */
    unsigned char low, high; /* within which the next of them lies */
};

/* Looks at the next bytes. False: they cannot be part of a text, and the struct is of no use. */
bool ml_utf8_check(struct ml_utf8 *u, const char *data, size_t size);

/* Whether the text may end here. */
static inline bool ml_utf8_is_whole(const struct ml_utf8 *u)
{
    return u->missing == 0;
}

#endif
