#include "http/multipart.h"

#include <errno.h>
#include <string.h>

/* Where the next byte stands. */
enum state {
    START,    /* the body's first line */
    PREAMBLE, /* before the first boundary */
    BEHIND,   /* behind a boundary */
    PADDING,  /* white space behind it */
    HEAD,
    DATA,
    OVER
};

enum { PADDING_MAX = 64 };

static bool is_boundary(const char *text, size_t size)
{
    static const char others[] = "'()+_,-./:=? ";
    bool is_valid = size > 0 && size <= ML_MULTIPART_BOUNDARY && text[size - 1] != ' ';
    for (size_t i = 0; i < size && is_valid; i++) {
        char lower = (char)(text[i] | 0x20);
        is_valid = (lower >= 'a' && lower <= 'z') || (text[i] >= '0' && text[i] <= '9') ||
                   memchr(others, text[i], sizeof others - 1) != NULL;
    }
    return is_valid;
}

bool ml_multipart_begin(struct ml_multipart *multipart, const char *boundary, size_t size,
                        uint32_t parts)
{
    if (!is_boundary(boundary, size))
        return false;
    *multipart = (struct ml_multipart){.delimiter_size = (uint32_t)size + 4, .parts_left = parts};
    memcpy(multipart->delimiter, "\r\n--", 4);
    memcpy(multipart->delimiter + 4, boundary, size);
    return true;
}

/* Where the delimiter, or a part of it that the bytes end with, begins; `size`: nowhere. */
static size_t find_delimiter(const struct ml_multipart *m, const char *bytes, size_t size)
{
    const char *found = memmem(bytes, size, m->delimiter, m->delimiter_size);
    if (found != NULL)
        return (size_t)(found - bytes);
    size_t at = size < m->delimiter_size ? 0 : size - m->delimiter_size + 1;
    while (at < size && memcmp(bytes + at, m->delimiter, size - at) != 0)
        at++;
    return at;
}

/* The first line may be the boundary itself, without the line's end before it. */
static int take_start(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken)
{
    size_t line = m->delimiter_size - 2, there = size < line ? size : line;
    if (memcmp(bytes, m->delimiter + 2, there) != 0)
        m->state = PREAMBLE;
    else if (there == line) {
        *taken += line;
        m->state = BEHIND;
        m->skipped = 0;
    } else
        return ML_MULTIPART_MORE;
    return 0;
}

static int take_preamble(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken)
{
    size_t at = find_delimiter(m, bytes, size);
    *taken += at;
    m->skipped += (uint32_t)(at < ML_MULTIPART_PREAMBLE ? at : ML_MULTIPART_PREAMBLE + 1);
    if (m->skipped > ML_MULTIPART_PREAMBLE)
        return -EMSGSIZE;
    if (size - at >= m->delimiter_size) {
        *taken += m->delimiter_size;
        m->state = BEHIND;
        m->skipped = 0;
    }
    return 0;
}

/* `--`, or the line's end with white space before it. */
static int take_behind(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken)
{
    bool is_blank = bytes[0] == ' ' || bytes[0] == '\t';
    if (is_blank) {
        ++*taken;
        m->state = PADDING;
        return ++m->skipped > PADDING_MAX ? -EPROTO : 0;
    }
    bool may_close = m->state == BEHIND && bytes[0] == '-';
    if (!may_close && bytes[0] != '\r')
        return -EPROTO;
    if (size < 2)
        return 0;
    if (bytes[1] != (may_close ? '-' : '\n'))
        return -EPROTO;
    *taken += 2;
    m->state = may_close ? OVER : HEAD;
    m->head_seen = 0;
    return may_close ? ML_MULTIPART_END : 0;
}

static int take_head(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken)
{
    static const struct ml_http_limits limits = {ML_MULTIPART_HEAD, 0, ML_MULTIPART_FIELDS};
    if (m->head_seen == 0) {
        if (m->parts_left == 0)
            return -EMSGSIZE;
        ml_http_head_init(&m->head, m->fields, ML_MULTIPART_FIELDS);
    }
    int result = ml_http_parse_fields(&m->head, bytes, size, m->head_seen, &limits);
    m->head_seen = (uint32_t)size;
    if (result < 0)
        return ml_http_error_status(result) == 431 ? -EMSGSIZE : -EPROTO;
    if (result == 0)
        return ML_MULTIPART_MORE;
    *taken += (size_t)result;
    m->parts_left--;
    m->state = DATA;
    return ML_MULTIPART_PART;
}

static int take_data(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken)
{
    size_t at = find_delimiter(m, bytes, size);
    if (at > 0) {
        m->data = (struct ml_http_slice){(uint32_t)*taken, (uint32_t)at};
        *taken += at;
        return ML_MULTIPART_DATA;
    }
    if (size < m->delimiter_size)
        return ML_MULTIPART_MORE;
    *taken += m->delimiter_size;
    m->state = BEHIND;
    m->skipped = 0;
    return ML_MULTIPART_PART_END;
}

typedef int take(struct ml_multipart *m, const char *bytes, size_t size, size_t *taken);

int ml_multipart_next(struct ml_multipart *multipart, const char *bytes, size_t size, size_t *taken)
{
    static take *const steps[] = {take_start,  take_preamble, take_behind,
                                  take_behind, take_head,     take_data};
    int event = ML_MULTIPART_MORE;
    size_t before = 0;
    uint8_t state;
    *taken = 0;
    size = size < UINT32_MAX / 2 ? size : UINT32_MAX / 2;
    do {
        if (multipart->state == OVER) {
            *taken = size;
            return ML_MULTIPART_END;
        }
        before = *taken;
        state = multipart->state;
        if (before < size)
            event = steps[state](multipart, bytes + before, size - before, taken);
    } while (event == 0 && (*taken > before || multipart->state != state));
    return event;
}
