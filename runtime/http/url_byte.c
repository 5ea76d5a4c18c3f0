#include "http/url_byte.h"

#define LETTERS(base)                                                                              \
    [base] = ML_URL_UNRESERVED, [base + 1] = ML_URL_UNRESERVED, [base + 2] = ML_URL_UNRESERVED,    \
    [base + 3] = ML_URL_UNRESERVED, [base + 4] = ML_URL_UNRESERVED,                                \
    [base + 5] = ML_URL_UNRESERVED, [base + 6] = ML_URL_UNRESERVED,                                \
    [base + 7] = ML_URL_UNRESERVED, [base + 8] = ML_URL_UNRESERVED,                                \
    [base + 9] = ML_URL_UNRESERVED, [base + 10] = ML_URL_UNRESERVED,                               \
    [base + 11] = ML_URL_UNRESERVED, [base + 12] = ML_URL_UNRESERVED

const uint8_t ml_url_classes[256] = {
    LETTERS('A'),
    LETTERS('N'),
    LETTERS('a'),
    LETTERS('n'),
    ['0'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['1'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['2'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['3'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['4'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['5'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['6'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['7'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['8'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['9'] = ML_URL_UNRESERVED | ML_URL_DIGIT,
    ['-'] = ML_URL_UNRESERVED,
    ['.'] = ML_URL_UNRESERVED,
    ['_'] = ML_URL_UNRESERVED,
    ['~'] = ML_URL_UNRESERVED,
    ['!'] = ML_URL_SUB_DELIM,
    ['$'] = ML_URL_SUB_DELIM,
    ['&'] = ML_URL_SUB_DELIM,
    ['\''] = ML_URL_SUB_DELIM,
    ['('] = ML_URL_SUB_DELIM,
    [')'] = ML_URL_SUB_DELIM,
    ['*'] = ML_URL_SUB_DELIM,
    ['+'] = ML_URL_SUB_DELIM,
    [','] = ML_URL_SUB_DELIM,
    [';'] = ML_URL_SUB_DELIM,
    ['='] = ML_URL_SUB_DELIM,
    [':'] = ML_URL_COLON,
    ['@'] = ML_URL_AT,
    ['/'] = ML_URL_SLASH,
    ['?'] = ML_URL_QUESTION,
    ['['] = ML_URL_BRACKET,
    [']'] = ML_URL_BRACKET,
};
