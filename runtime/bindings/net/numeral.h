/*
 * Recognises the text of a number byte by byte, as the format "n" of io's read does: the longest
 * run of bytes that may begin a numeral of Lua, at most 200. Knows no source of bytes.
 */
#ifndef ML_BINDINGS_NET_NUMERAL_H
#define ML_BINDINGS_NET_NUMERAL_H

#include <stdbool.h>
#include <stddef.h>

enum { ML_NUMERAL_MAX = 200 };

struct ml_numeral {
    char text[ML_NUMERAL_MAX + 1]; /* ends with a zero; "" if it was too long */
    size_t length;
    enum {
        ML_NUMERAL_SPACE, /* before it */
        ML_NUMERAL_SIGN,  /* after the sign, or where one would have been */
        ML_NUMERAL_ZERO,  /* after a first 0 */
        ML_NUMERAL_INTEGER,
        ML_NUMERAL_FRACTION,
        ML_NUMERAL_MARK, /* after the e or p */
        ML_NUMERAL_EXPONENT
    } state;
    bool is_hex;
    bool has_digits;
};

/* Takes the next byte; false: it does not belong to the number. A zeroed struct has taken nothing.
 */
bool ml_numeral_take(struct ml_numeral *n, char byte);

#endif
