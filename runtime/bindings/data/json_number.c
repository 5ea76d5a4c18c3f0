#include "bindings/data/json_number.h"

#include "bindings/data/powers_of_ten.h"

#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- reading numbers ---- */

static inline bool is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* A number while it is read: the value is mantissa * 10^exponent, exactly unless digits were
 * dropped. */
struct digits {
    uint64_t mantissa;
    int count; /* of the mantissa's digits, without leading zeros */
    int exponent;
    bool is_cut; /* the mantissa has no room for further digits */
};

/* Nineteen digits fit into 64 bits. */
enum { MOST_DIGITS = 19, LARGEST_EXPONENT = 100000 };

static inline const char *take_digits(struct digits *d, const char *at, int exponent_step)
{
    for (; is_digit(*at); at++) {
        if (d->count < MOST_DIGITS) {
            d->mantissa = d->mantissa * 10 + (uint64_t)(*at - '0');
            d->count += d->mantissa != 0;
            d->exponent += exponent_step;
        } else {
            d->is_cut = true;
        }
    }
    return at;
}

static const char *take_exponent(struct digits *d, const char *at)
{
    bool is_negative = *at == '-';
    int value = 0;
    at += *at == '-' || *at == '+';
    for (; is_digit(*at); at++)
        value = value < LARGEST_EXPONENT ? value * 10 + (*at - '0') : value;
    d->exponent += is_negative ? -value : value;
    return at;
}

/* Reads the number with the locale's decimal point in place of ".". */
static double read_in_locale(const char *at, const char *end)
{
    const char *point = localeconv()->decimal_point;
    size_t size = (size_t)(end - at), length = strlen(point);
    const char *dot = memchr(at, '.', size);
    char *text = malloc(size + length + 1);
    if (text == NULL || dot == NULL) {
        free(text);
        return NAN;
    }
    size_t before = (size_t)(dot - at);
    memcpy(text, at, before);
    memcpy(text + before, point, length);
    memcpy(text + before + length, dot + 1, size - before - 1);
    text[size + length - 1] = '\0';
    double number = strtod(text, NULL);
    free(text);
    return number;
}

static double read_slowly(const char *at, const char *end)
{
    char *stop;
    double number = strtod(at, &stop);
    return stop == end ? number : read_in_locale(at, end);
}

/* Powers of ten, and integers up to 2^53, are exact floats. So one multiplication or division of
 * two of them rounds once, as it must. */
static double read_float(const struct digits *d, const char *at, const char *end)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    if (d->is_cut || d->mantissa > (uint64_t)1 << 53 || d->exponent < -22 || d->exponent > 22)
        return read_slowly(at, end);
    double number = (double)d->mantissa;
    number = d->exponent < 0 ? number / powers[-d->exponent] : number * powers[d->exponent];
    return *at == '-' ? -number : number;
}

static bool is_int64(const struct digits *d, bool is_negative)
{
    uint64_t most = (uint64_t)INT64_MAX + is_negative;
    return !d->is_cut && d->mantissa <= most && !(is_negative && d->mantissa == 0);
}

static struct ml_json_number problem(const char *at, const char *text)
{
    return (struct ml_json_number){.end = at, .problem = text};
}

struct ml_json_number ml_json_read_number(const char *at, const char *end)
{
    struct digits d = {0};
    bool is_negative = *at == '-', is_integer = true;
    const char *p = at + is_negative;
    if (!is_digit(*p))
        return problem(p, "expected a digit");
    if (*p == '0' && is_digit(p[1]))
        return problem(p + 1, "expected no digit after a leading 0");
    p = take_digits(&d, p, 0);
    if (*p == '.') {
        is_integer = false;
        if (!is_digit(p[1]))
            return problem(p + 1, "expected a digit");
        p = take_digits(&d, p + 1, -1);
    }
    if (*p == 'e' || *p == 'E') {
        is_integer = false;
        if (!is_digit(p[1 + (p[1] == '-' || p[1] == '+')]))
            return problem(p + 1 + (p[1] == '-' || p[1] == '+'), "expected a digit");
        p = take_exponent(&d, p + 1);
    }
    (void)end;
    if (is_integer && is_int64(&d, is_negative))
        return (struct ml_json_number){.end = p,
                                       .is_integer = true,
                                       .integer = is_negative ? (int64_t)(0 - d.mantissa)
                                                              : (int64_t)d.mantissa};
    double number = read_float(&d, at, p);
    if (!isfinite(number))
        return problem(at, "expected a number that a float can hold");
    return (struct ml_json_number){.end = p, .number = number};
}

/* ---- writing numbers ---- */

/* Returns the begin of the digits, which end at `end`. */
static char *put_digits(uint64_t value, char *end)
{
    do {
        *--end = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return end;
}

size_t ml_json_write_integer(int64_t integer, char *out)
{
    char digits[ML_JSON_NUMBER_SIZE], *end = digits + sizeof digits;
    uint64_t value = integer < 0 ? 0 - (uint64_t)integer : (uint64_t)integer;
    char *start = put_digits(value, end);
    if (integer < 0)
        *--start = '-';
    memcpy(out, start, (size_t)(end - start));
    return (size_t)(end - start);
}

/* digits * 10^exponent */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* floor(log2(10^e)), floor(log10(2^e)), floor(log10(3/4 * 2^e)) in the range of floats. */
static inline int log2_of_power_of_10(int e)
{
    return (e * 1741647) >> 19;
}

static inline int log10_of_power_of_2(int e)
{
    return (e * 1262611) >> 22;
}

static inline int log10_of_three_quarters(int e)
{
    return (e * 1262611 - 524031) >> 22;
}

/* The upper 64 bits of power * value; the lowest of them is set if anything was cut. */
static inline uint64_t multiply(const struct ml_power_of_ten *power, uint64_t value)
{
    uint64_t low_high = (uint64_t)(((unsigned __int128)power->low * value) >> 64);
    unsigned __int128 all = (unsigned __int128)power->high * value + low_high;
    return (uint64_t)(all >> 64) | ((uint64_t)all > 1);
}

/* Schubfach (R. Giulietti, "The Schubfach way to render doubles"): the shortest decimal in the
 * interval that rounds to significand * 2^exponent, and of several the closest. */
static struct decimal shortest(uint64_t significand, int exponent, bool is_lower_closer)
{
    bool excludes_ends = significand % 2 != 0;
    int k = is_lower_closer ? log10_of_three_quarters(exponent) : log10_of_power_of_2(exponent);
    int shift = exponent + log2_of_power_of_10(-k) + 1;
    const struct ml_power_of_ten *power = &ml_powers_of_ten[-k - ML_LEAST_POWER_OF_TEN];
    uint64_t lower = multiply(power, (4 * significand - 2 + is_lower_closer) << shift);
    uint64_t value = multiply(power, (4 * significand) << shift);
    uint64_t upper = multiply(power, (4 * significand + 2) << shift);
    lower += excludes_ends;
    upper -= excludes_ends;
    uint64_t s = value / 4, tens = s / 10;
    bool is_under = lower <= 40 * tens, is_over = 40 * tens + 40 <= upper;
    if (s >= 10 && is_under != is_over)
        return (struct decimal){tens + is_over, k + 1};
    is_under = lower <= 4 * s;
    is_over = 4 * s + 4 <= upper;
    if (is_under != is_over)
        return (struct decimal){s + is_over, k};
    uint64_t middle = 4 * s + 2;
    bool rounds_up = value > middle || (value == middle && s % 2 != 0);
    return (struct decimal){s + rounds_up, k};
}

static struct decimal decimal_of(double number)
{
    uint64_t bits, fraction;
    memcpy(&bits, &number, sizeof bits);
    fraction = bits & (((uint64_t)1 << 52) - 1);
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0)
        return shortest(fraction, 1 - 1075, false);
    uint64_t significand = fraction | (uint64_t)1 << 52;
    int power = exponent - 1075;
    if (power <= 0 && power > -53 && (significand & (((uint64_t)1 << -power) - 1)) == 0)
        return (struct decimal){significand >> -power, 0};
    return shortest(significand, power, fraction == 0 && exponent > 1);
}

/* Beyond these exponents "1e17" is easier to read than the zeros. */
enum { MOST_FIXED = 17, LEAST_FIXED = -5 };

/* Writes `count` digits with the point after the first `point` of them, which may be negative, or
 * more than all. */
static char *put_fixed(char *out, const char *digits, int count, int point)
{
    if (point <= 0) {
        memcpy(out, "0.00000", 7);
        out += 2 - point;
        memcpy(out, digits, (size_t)count);
        return out + count;
    }
    int whole = count < point ? count : point;
    memcpy(out, digits, (size_t)whole);
    memset(out + whole, '0', (size_t)(point - whole));
    out += point;
    *out++ = '.';
    memcpy(out, digits + whole, (size_t)(count - whole));
    out += count - whole;
    if (count <= point)
        *out++ = '0';
    return out;
}

static char *put_scientific(char *out, const char *digits, int count, int point)
{
    *out++ = *digits;
    if (count > 1)
        *out++ = '.';
    memcpy(out, digits + 1, (size_t)(count - 1));
    out += count - 1;
    *out++ = 'e';
    return out + ml_json_write_integer(point - 1, out);
}

size_t ml_json_write_float(double number, char *out)
{
    char digits[ML_JSON_NUMBER_SIZE], *end = digits + sizeof digits, *start = out;
    if (signbit(number)) {
        *out++ = '-';
        number = -number;
    }
    struct decimal d = {0};
    if (number != 0)
        d = decimal_of(number);
    while (d.digits != 0 && d.digits % 10 == 0) {
        d.digits /= 10;
        d.exponent++;
    }
    char *first = put_digits(d.digits, end);
    int count = (int)(end - first), point = count + d.exponent;
    bool is_fixed = point > LEAST_FIXED && point <= MOST_FIXED;
    out = is_fixed ? put_fixed(out, first, count, point) : put_scientific(out, first, count, point);
    return (size_t)(out - start);
}
