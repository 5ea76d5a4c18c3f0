/*
 * Checks that bytes are UTF-8 (RFC 3629), piece by piece: no surrogates, nothing beyond U+10FFFF,
 * only the shortest form. Knows no strings.
 */
#ifndef ML_BASE_UTF8_H
#define ML_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed: at the beginning of a text. */
struct ml_utf8 {
    unsigned char missing;   /* bytes that the last character still needs */
    unsigned char low, high; /* the range of the next of them */
};

/* Checks the next bytes. False: they cannot be part of a text, and the struct is not usable any
 * more. */
bool ml_utf8_check(struct ml_utf8 *u, const char *data, size_t size);

/* Whether the text may end here. */
static inline bool ml_utf8_is_whole(const struct ml_utf8 *u)
{
    return u->missing == 0;
}

#endif
