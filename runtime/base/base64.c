#include "base/base64.h"

#include <stdint.h>

static const char standard[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t ml_base64_encode(const void *data, size_t size, enum ml_base64 form, char *out)
{
    const uint8_t *in = data;
    const char *alphabet = form == ML_BASE64_URL ? url : standard;
    char *start = out;
    for (; size >= 3; size -= 3, in += 3) {
        uint32_t bits = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        for (int shift = 18; shift >= 0; shift -= 6)
            *out++ = alphabet[bits >> shift & 63];
    }
    if (size > 0) {
        uint32_t bits = (uint32_t)in[0] << 16 | (size > 1 ? (uint32_t)in[1] << 8 : 0);
        *out++ = alphabet[bits >> 18];
        *out++ = alphabet[bits >> 12 & 63];
        if (size > 1)
            *out++ = alphabet[bits >> 6 & 63];
        for (; form == ML_BASE64 && size < 3; size++)
            *out++ = '=';
    }
    return (size_t)(out - start);
}

/* -1: not in the alphabet. */
static int value_of(char c, enum ml_base64 form)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == (form == ML_BASE64_URL ? '-' : '+'))
        return 62;
    return c == (form == ML_BASE64_URL ? '_' : '/') ? 63 : -1;
}

/* Bytes of the text without the "=" at its end. False: there are too few of them, or too many. */
static bool cut_padding(const char *text, size_t *size, enum ml_base64 form, size_t *bad)
{
    size_t end = *size;
    while (end > 0 && *size - end < 2 && text[end - 1] == '=')
        end--;
    size_t marks = *size - end, due = (4 - end % 4) % 4;
    bool is_right = marks == due || (marks == 0 && form == ML_BASE64_URL);
    if (form == ML_BASE64_BARE)
        is_right = marks == 0;
    *bad = marks < due || marks == 0 ? *size : end;
    *size = end;
    return is_right && end % 4 != 1;
}

ptrdiff_t ml_base64_decode(const char *text, size_t size, enum ml_base64 form, void *out,
                           size_t *bad)
{
    uint8_t *start = out, *end = out;
    uint32_t bits = 0;
    int count = 0;
    size_t length = size, i = 0;
    bool is_padded = cut_padding(text, &length, form, bad);
    for (; i < length; i++) {
        int value = value_of(text[i], form);
        if (value < 0) {
            *bad = i;
            return -1;
        }
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count >= 8) {
            count -= 8;
            *end++ = (uint8_t)(bits >> count);
        }
    }
    if (!is_padded)
        return -1;
    *bad = i - 1;
    return (bits & ((1u << count) - 1)) != 0 ? -1 : end - start;
}

void ml_hex_encode(const void *data, size_t size, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *in = data;
    for (size_t i = 0; i < size; i++) {
        *out++ = digits[in[i] >> 4];
        *out++ = digits[in[i] & 15];
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

ptrdiff_t ml_hex_decode(const char *text, size_t size, void *out, size_t *bad)
{
    uint8_t *bytes = out;
    for (size_t i = 0; i < size; i++) {
        int value = hex_value(text[i]);
        *bad = i;
        if (value < 0)
            return -1;
        if (i % 2 == 0)
            value <<= 4;
        if (i / 2 < size / 2)
            bytes[i / 2] = (uint8_t)(i % 2 == 0 ? value : bytes[i / 2] | value);
    }
    *bad = size;
    return size % 2 == 0 ? (ptrdiff_t)(size / 2) : -1;
}
