#include "bindings/net/numeral.h"

#include <ctype.h>
#include <locale.h>

static bool keep(struct ml_numeral *n, char byte, int state)
{
    if (n->length == ML_NUMERAL_MAX) {
        n->text[0] = '\0';
        return false;
    }
    n->text[n->length++] = byte;
    n->text[n->length] = '\0';
    n->state = state;
    return true;
}

static bool is_sign(char byte)
{
    return byte == '-' || byte == '+';
}

static bool is_digit(const struct ml_numeral *n, char byte)
{
    return n->is_hex ? isxdigit((unsigned char)byte) : isdigit((unsigned char)byte);
}

static bool is_point(char byte)
{
    return byte == '.' || byte == localeconv()->decimal_point[0];
}

static bool is_mark(const struct ml_numeral *n, char byte)
{
    return tolower((unsigned char)byte) == (n->is_hex ? 'p' : 'e');
}

/* After the sign and a first 0, or the x after it. */
static bool take_digits(struct ml_numeral *n, char byte)
{
    if (is_digit(n, byte)) {
        n->has_digits = true;
        return keep(n, byte, n->state);
    }
    if (n->state == ML_NUMERAL_INTEGER && is_point(byte))
        return keep(n, byte, ML_NUMERAL_FRACTION);
    return n->has_digits && is_mark(n, byte) && keep(n, byte, ML_NUMERAL_MARK);
}

static bool take_exponent(struct ml_numeral *n, char byte)
{
    bool fits = isdigit((unsigned char)byte) || (n->state == ML_NUMERAL_MARK && is_sign(byte));
    return fits && keep(n, byte, ML_NUMERAL_EXPONENT);
}

bool ml_numeral_take(struct ml_numeral *n, char byte)
{
    if (n->state == ML_NUMERAL_SPACE) {
        if (isspace((unsigned char)byte))
            return true;
        n->state = ML_NUMERAL_SIGN;
        if (is_sign(byte))
            return keep(n, byte, ML_NUMERAL_SIGN);
    }
    if (n->state == ML_NUMERAL_SIGN && byte == '0')
        return keep(n, byte, ML_NUMERAL_ZERO);
    if (n->state == ML_NUMERAL_ZERO) {
        n->is_hex = byte == 'x' || byte == 'X';
        n->has_digits = !n->is_hex;
        if (n->is_hex)
            return keep(n, byte, ML_NUMERAL_INTEGER);
    }
    if (n->state <= ML_NUMERAL_INTEGER)
        n->state = ML_NUMERAL_INTEGER;
    return n->state >= ML_NUMERAL_MARK ? take_exponent(n, byte) : take_digits(n, byte);
}
