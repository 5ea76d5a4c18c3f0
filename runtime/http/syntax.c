#include "http/syntax.h"

#include "http/scan.h"

#include <string.h>

/* clang-format off */
const uint8_t ml_http_classes[256] = {
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 0x00 */
    0x00, 0xc0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 0x08 */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 0x10 */
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* 0x18 */
    0xc0, 0xcf, 0x80, 0xc1, 0xcf, 0xc5, 0xcf, 0xcf, /* 0x20 */
    0xce, 0xce, 0xcf, 0xcf, 0xce, 0xcf, 0xcf, 0xc6, /* 0x28 */
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, /* 0x30 */
    0xff, 0xff, 0xc6, 0xce, 0xc0, 0xce, 0xc0, 0xc4, /* 0x38 */
    0xc6, 0xef, 0xef, 0xef, 0xef, 0xef, 0xef, 0xcf, /* 0x40 */
    0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, /* 0x48 */
    0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, /* 0x50 */
    0xcf, 0xcf, 0xcf, 0xc6, 0x84, 0xc6, 0xc7, 0xcf, /* 0x58 */
    0xc5, 0xef, 0xef, 0xef, 0xef, 0xef, 0xef, 0xcf, /* 0x60 */
    0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, /* 0x68 */
    0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, 0xcf, /* 0x70 */
    0xcf, 0xcf, 0xcf, 0xc4, 0xc7, 0xc4, 0xcf, 0x00, /* 0x78 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0x80 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0x88 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0x90 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0x98 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xa0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xa8 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xb0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xb8 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xc0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xc8 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xd0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xd8 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xe0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xe8 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xf0 */
    0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, 0xc0, /* 0xf8 */
};
/* clang-format on */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool ml_http_is_token(const char *text, size_t size)
{
    size_t i = 0;
    while (i < size && ml_http_is(text[i], ML_HTTP_TOKEN))
        i++;
    return size > 0 && i == size;
}

bool ml_http_is_reason(const char *text, size_t size)
{
    return ml_http_scan_text(text, text + size) == text + size;
}

bool ml_http_is_field_value(const char *text, size_t size)
{
    if (size > 0 && (is_blank(text[0]) || is_blank(text[size - 1])))
        return false;
    return ml_http_is_reason(text, size);
}

struct ml_http_text ml_http_trim(const char *text, size_t size)
{
    while (size > 0 && is_blank(text[size - 1]))
        size--;
    while (size > 0 && is_blank(*text)) {
        text++;
        size--;
    }
    return (struct ml_http_text){text, size};
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool ml_http_is_same_word(const char *text, size_t size, const char *word)
{
    size_t i = 0;
    while (i < size && word[i] != '\0' && lower(text[i]) == lower(word[i]))
        i++;
    return i == size && word[i] == '\0';
}

size_t ml_http_quoted_size(const char *text, size_t size)
{
    size_t i = 1;
    if (size < 2 || text[0] != '"')
        return 0;
    while (i < size && text[i] != '"') {
        if (text[i] == '\\')
            i++;
        if (i == size || !ml_http_is(text[i], ML_HTTP_TEXT))
            return 0;
        i++;
    }
    return i < size ? i + 1 : 0;
}

/* Where the first element ends: at `stop`, or at the end of the text. A quote that is not closed
 * reaches to the end: else each of many would be looked for again. */
static size_t element_end(const char *text, size_t size, char stop)
{
    size_t i = 0;
    while (i < size && text[i] != stop) {
        size_t quoted = text[i] == '"' ? ml_http_quoted_size(text + i, size - i) : 1;
        i = quoted > 0 ? i + quoted : size;
    }
    return i;
}

static void drop(struct ml_http_text *rest, size_t size)
{
    size = size < rest->size ? size : rest->size;
    rest->at += size;
    rest->size -= size;
}

bool ml_http_list_next(struct ml_http_text *rest, struct ml_http_text *element)
{
    *element = (struct ml_http_text){rest->at, 0};
    while (rest->size > 0 && element->size == 0) {
        size_t size = element_end(rest->at, rest->size, ',');
        *element = ml_http_trim(rest->at, size);
        drop(rest, size + 1);
    }
    return element->size > 0;
}

bool ml_http_list_has(const char *text, size_t size, const char *token)
{
    struct ml_http_text rest = {text, size}, element;
    while (ml_http_list_next(&rest, &element))
        if (ml_http_is_same_word(element.at, element.size, token))
            return true;
    return false;
}

static void skip_blanks(struct ml_http_text *rest)
{
    while (rest->size > 0 && is_blank(rest->at[0]))
        drop(rest, 1);
}

static struct ml_http_text take(struct ml_http_text *rest, size_t size)
{
    struct ml_http_text taken = {rest->at, size};
    drop(rest, size);
    return taken;
}

static size_t token_size(struct ml_http_text rest)
{
    size_t size = 0;
    while (size < rest.size && ml_http_is(rest.at[size], ML_HTTP_TOKEN))
        size++;
    return size;
}

static int parameter_value(struct ml_http_text *rest, struct ml_http_text *value)
{
    size_t size = ml_http_quoted_size(rest->at, rest->size);
    *value = take(rest, size > 0 ? size : token_size(*rest));
    return value->size > 0 ? 1 : -1;
}

int ml_http_parameter_next(struct ml_http_text *rest, struct ml_http_text *name,
                           struct ml_http_text *value)
{
    skip_blanks(rest);
    while (rest->size > 0 && rest->at[0] == ';') {
        drop(rest, 1);
        skip_blanks(rest);
        *name = take(rest, token_size(*rest));
        if (name->size > 0) {
            if (rest->size == 0 || rest->at[0] != '=')
                return -1;
            drop(rest, 1);
            return parameter_value(rest, value);
        }
    }
    return rest->size == 0 ? 0 : -1;
}

bool ml_http_parameter(const char *text, size_t size, const char *name, struct ml_http_text *value)
{
    size_t start = element_end(text, size, ';');
    struct ml_http_text rest = {text + start, size - start}, found;
    while (ml_http_parameter_next(&rest, &found, value) > 0)
        if (ml_http_is_same_word(found.at, found.size, name))
            return true;
    return false;
}

size_t ml_http_unquote(struct ml_http_text value, char *to)
{
    size_t written = 0;
    if (value.size < 2 || value.at[0] != '"') {
        memcpy(to, value.at, value.size);
        return value.size;
    }
    for (size_t i = 1; i + 1 < value.size; i++) {
        if (value.at[i] == '\\' && i + 2 < value.size)
            i++;
        to[written++] = value.at[i];
    }
    return written;
}

int ml_http_weight(const char *text, size_t size)
{
    int weight = 0, unit = 1000;
    if (size == 0 || size > 5 || (text[0] != '0' && text[0] != '1') || (size > 1 && text[1] != '.'))
        return -1;
    for (size_t i = 0; i < size; i++) {
        if (i == 1)
            continue;
        if (!ml_http_is(text[i], ML_HTTP_DIGIT))
            return -1;
        weight += (text[i] - '0') * unit;
        unit /= 10;
    }
    return weight <= 1000 ? weight : -1;
}
