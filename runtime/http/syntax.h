/*
 * The small grammars of RFC 9110 that fields are made of: tokens, quoted strings, lists,
 * parameters, weights. Knows nothing of heads; allocates nothing.
 */
#ifndef ML_HTTP_SYNTAX_H
#define ML_HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bits of ml_http_classes[byte]. */
enum ml_http_class {
    ML_HTTP_TOKEN = 0x01, /* tchar */
    ML_HTTP_PATH = 0x02,  /* stands in a path: what browsers send raw, too; no '%' */
    ML_HTTP_QUERY = 0x04, /* stands in a query: visible ASCII but '"', '#', '<', '>' */
    ML_HTTP_HOSTS = 0x08, /* unreserved or sub-delims, as in a registered name */
    ML_HTTP_DIGIT = 0x10,
    ML_HTTP_HEX = 0x20,
    ML_HTTP_QUOTED = 0x40, /* stands in a quoted string without a backslash */
    ML_HTTP_TEXT = 0x80    /* stands in a value: the tab, the space, visible, 0x80 and above */
};

extern const uint8_t ml_http_classes[256];

static inline bool ml_http_is(char c, unsigned classes)
{
    return (ml_http_classes[(uint8_t)c] & classes) != 0;
}

/* A run of bytes in memory of another owner. */
struct ml_http_text {
    const char *at;
    size_t size;
};

/* What an application may send. A token: a field's name, a method, a cookie's name. */
bool ml_http_is_token(const char *text, size_t size);

/* A value: no control character but the tab, no white space at its ends; it may be empty. */
bool ml_http_is_field_value(const char *text, size_t size);

/* The reason of a status line: as a value, with white space anywhere. */
bool ml_http_is_reason(const char *text, size_t size);

/* Without spaces and tabs at both ends. */
struct ml_http_text ml_http_trim(const char *text, size_t size);

/* ASCII, any case. */
bool ml_http_is_same_word(const char *text, size_t size, const char *word);

/* The next element of a comma-separated list, trimmed; commas in quoted strings do not count, empty
 * elements are left out. `rest` is shortened by it; false: there is none any more. */
bool ml_http_list_next(struct ml_http_text *rest, struct ml_http_text *element);

/* True if the list has the element `token`, in any case. */
bool ml_http_list_has(const char *text, size_t size, const char *token);

/* The next of `; name=value` parameters from the start of `rest`. A quoted value is given as it
 * stands, with its quotes: ml_http_unquote(). An empty parameter is left out. 1, 0: there is none
 * any more, -1: malformed. */
int ml_http_parameter_next(struct ml_http_text *rest, struct ml_http_text *name,
                           struct ml_http_text *value);

/* The value of one parameter of `a/b; c=d`, what stands before the first ';' being no parameter.
 * False: it is missing, or something before it is malformed. */
bool ml_http_parameter(const char *text, size_t size, const char *name, struct ml_http_text *value);

/* Bytes of the quoted string that `text` begins with, its quotes included; 0: it is none. */
size_t ml_http_quoted_size(const char *text, size_t size);

/* Writes a token or quoted string without quotes and backslashes, at most `size` bytes, to `to`.
 * Returns how many. */
size_t ml_http_unquote(struct ml_http_text value, char *to);

/* A weight such as `0.375` in thousandths, -1 if it is malformed. */
int ml_http_weight(const char *text, size_t size);

#endif
