#include "http/chunked.h"

#include <string.h>

/* The place of the next byte. */
enum state {
    SIZE,       /* a digit, or the end of the size */
    NAME_START, /* behind a ';' */
    NAME,
    VALUE_START, /* behind a '=' */
    VALUE,
    QUOTED,
    ESCAPED,    /* behind a backslash */
    QUOTED_END, /* behind the closing quote */
    LINE_LF,    /* of the chunk's line */
    PAYLOAD,    /* `left` bytes */
    PAYLOAD_CR, /* behind it */
    PAYLOAD_LF,
    OVER
};

static int digit_of(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

/* The end of a size or extension: ';' or CR. */
static int end_part(struct ml_http_chunked *chunked, char c, int otherwise)
{
    if (c != ';' && c != '\r')
        return otherwise;
    chunked->state = c == ';' ? NAME_START : LINE_LF;
    return 0;
}

/* At most 16 digits, and a size that fits in int64_t. */
static int take_size(struct ml_http_chunked *chunked, char c)
{
    if (!ml_http_is(c, ML_HTTP_HEX))
        return chunked->digits > 0 ? end_part(chunked, c, ML_HTTP_BAD_CHUNK) : ML_HTTP_BAD_CHUNK;
    if (chunked->digits == 16 || chunked->left > INT64_MAX >> 4)
        return ML_HTTP_CHUNK_TOO_LARGE;
    chunked->digits++;
    chunked->left = chunked->left << 4 | (uint64_t)digit_of(c);
    return 0;
}

static int expect(struct ml_http_chunked *chunked, char c, unsigned classes, enum state next)
{
    chunked->state = next;
    return ml_http_is(c, classes) ? 0 : ML_HTTP_BAD_EXTENSION;
}

static int take_name(struct ml_http_chunked *chunked, char c)
{
    if (ml_http_is(c, ML_HTTP_TOKEN))
        return 0;
    if (c != '=')
        return end_part(chunked, c, ML_HTTP_BAD_EXTENSION);
    chunked->state = VALUE_START;
    return 0;
}

static int take_value(struct ml_http_chunked *chunked, char c)
{
    return ml_http_is(c, ML_HTTP_TOKEN) ? 0 : end_part(chunked, c, ML_HTTP_BAD_EXTENSION);
}

static int take_value_start(struct ml_http_chunked *chunked, char c)
{
    if (c != '"')
        return expect(chunked, c, ML_HTTP_TOKEN, VALUE);
    chunked->state = QUOTED;
    return 0;
}

static int take_quoted(struct ml_http_chunked *chunked, char c)
{
    if (ml_http_is(c, ML_HTTP_QUOTED))
        return 0;
    chunked->state = c == '"' ? QUOTED_END : ESCAPED;
    return c == '"' || c == '\\' ? 0 : ML_HTTP_BAD_EXTENSION;
}

static int take_extension(struct ml_http_chunked *chunked, char c)
{
    if (++chunked->extension > ML_HTTP_EXTENSION_MAX ||
        ++chunked->extensions > ML_HTTP_EXTENSIONS_MAX)
        return ML_HTTP_LONG_EXTENSIONS;
    switch (chunked->state) {
    case NAME_START:
        return expect(chunked, c, ML_HTTP_TOKEN, NAME);
    case NAME:
        return take_name(chunked, c);
    case VALUE_START:
        return take_value_start(chunked, c);
    case VALUE:
        return take_value(chunked, c);
    case QUOTED:
        return take_quoted(chunked, c);
    case ESCAPED:
        return expect(chunked, c, ML_HTTP_TEXT, QUOTED);
    default:
        return end_part(chunked, c, ML_HTTP_BAD_EXTENSION);
    }
}

static int take_end(struct ml_http_chunked *chunked, char c)
{
    bool is_last = chunked->left == 0;
    switch (chunked->state) {
    case LINE_LF:
        chunked->state = is_last ? OVER : PAYLOAD;
        return c == '\n' ? 0 : ML_HTTP_BAD_END;
    case PAYLOAD_CR:
        chunked->state = PAYLOAD_LF;
        return c == '\r' ? 0 : ML_HTTP_BAD_CHUNK;
    default:
        chunked->state = SIZE;
        chunked->digits = 0;
        chunked->extension = 0;
        return c == '\n' ? 0 : ML_HTTP_BAD_END;
    }
}

static int take_byte(struct ml_http_chunked *chunked, char c)
{
    if (chunked->state == SIZE)
        return take_size(chunked, c);
    return chunked->state < LINE_LF ? take_extension(chunked, c) : take_end(chunked, c);
}

static size_t take_payload(struct ml_http_chunked *chunked, const char *bytes, size_t size,
                           struct ml_http_text *piece)
{
    if (size > chunked->left)
        size = (size_t)chunked->left;
    *piece = (struct ml_http_text){bytes, size};
    chunked->left -= size;
    if (chunked->left == 0)
        chunked->state = PAYLOAD_CR;
    return size;
}

ptrdiff_t ml_http_chunked_feed(struct ml_http_chunked *chunked, const char *bytes, size_t size,
                               struct ml_http_text *piece)
{
    size_t taken = 0;
    *piece = (struct ml_http_text){bytes, 0};
    while (taken < size && chunked->state != PAYLOAD && chunked->state != OVER &&
           chunked->error == 0)
        chunked->error = (int16_t)take_byte(chunked, bytes[taken++]);
    if (chunked->error != 0)
        return chunked->error;
    if (chunked->state == PAYLOAD && taken < size)
        taken += take_payload(chunked, bytes + taken, size - taken, piece);
    return (ptrdiff_t)taken;
}

bool ml_http_chunked_is_over(const struct ml_http_chunked *chunked)
{
    return chunked->state == OVER && chunked->error == 0;
}

size_t ml_http_chunk_line(char line[ML_HTTP_CHUNK_LINE], uint64_t size)
{
    static const char digits[] = "0123456789abcdef";
    size_t count = 1, at;
    while (count < 16 && size >> (4 * count) != 0)
        count++;
    for (at = 0; at < count; at++)
        line[at] = digits[size >> (4 * (count - 1 - at)) & 0xf];
    memcpy(line + count, "\r\n", 2);
    return count + 2;
}
