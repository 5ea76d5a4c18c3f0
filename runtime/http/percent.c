#include "http/percent.h"

#include "http/url_byte.h"

size_t ml_percent_encode(const char *text, size_t size, bool is_form, char *out)
{
    static const char digits[] = "0123456789ABCDEF";
    char *end = out;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        if (ml_url_is_of(text[i], ML_URL_UNRESERVED)) {
            *end++ = text[i];
        } else if (is_form && byte == ' ') {
            *end++ = '+';
        } else {
            *end++ = '%';
            *end++ = digits[byte >> 4];
            *end++ = digits[byte & 15];
        }
    }
    return (size_t)(end - out);
}

ptrdiff_t ml_percent_decode(const char *text, size_t size, bool is_form, char *out)
{
    const char *end = text + size;
    char *start = out;
    for (const char *p = text; p < end; p++) {
        if (*p == '%') {
            if (!ml_url_is_triplet(p, end))
                return -1;
            *out++ = (char)(ml_url_hex_value(p[1]) << 4 | ml_url_hex_value(p[2]));
            p += 2;
        } else {
            *out++ = is_form && *p == '+' ? ' ' : *p;
        }
    }
    return out - start;
}
