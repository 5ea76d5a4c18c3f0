/* The classes of bytes in URLs, by the grammar of RFC 3986: each tells where a byte may stand. */
#ifndef ML_HTTP_URL_BYTE_H
#define ML_HTTP_URL_BYTE_H

#include <stdbool.h>
#include <stdint.h>

/* The classes, as bits. */
enum {
    ML_URL_UNRESERVED = 1, /* letters, digits, "-._~" */
    ML_URL_SUB_DELIM = 2,  /* "!$&'()*+,;=" */
    ML_URL_COLON = 4,
    ML_URL_AT = 8,
    ML_URL_SLASH = 16,
    ML_URL_QUESTION = 32,
    ML_URL_BRACKET = 64,
    ML_URL_DIGIT = 128,

    ML_URL_IN_HOST = ML_URL_UNRESERVED | ML_URL_SUB_DELIM,
    ML_URL_IN_USERINFO = ML_URL_IN_HOST | ML_URL_COLON,
    ML_URL_IN_PATH = ML_URL_IN_USERINFO | ML_URL_AT | ML_URL_SLASH,
    ML_URL_IN_QUERY = ML_URL_IN_PATH | ML_URL_QUESTION | ML_URL_BRACKET
};

extern const uint8_t ml_url_classes[256];

static inline bool ml_url_is_of(char c, unsigned set)
{
    return (ml_url_classes[(uint8_t)c] & set) != 0;
}

static inline bool ml_url_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char ml_url_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool ml_url_is_letter(char c)
{
    return ml_url_lower(c) >= 'a' && ml_url_lower(c) <= 'z';
}

/* -1: not a hexadecimal digit. */
static inline int ml_url_hex_value(char c)
{
    if (ml_url_is_digit(c))
        return c - '0';
    return ml_url_lower(c) >= 'a' && ml_url_lower(c) <= 'f' ? ml_url_lower(c) - 'a' + 10 : -1;
}

static inline bool ml_url_is_triplet(const char *at, const char *end)
{
    return end - at >= 3 && ml_url_hex_value(at[1]) >= 0 && ml_url_hex_value(at[2]) >= 0;
}

#endif
