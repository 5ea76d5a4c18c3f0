#include "bindings/data/json_text.h"

#include <stdint.h>
#include <string.h>

enum { SEVEN_F = 0x7f };

#define EACH_BYTE(b) (0x0101010101010101u * (uint64_t)(b))

/* The highest bit of each byte of `word` that is not plain; bytes above one may be wrong. */
static inline uint64_t special_bytes(uint64_t word)
{
    uint64_t quote = word ^ EACH_BYTE('"'), backslash = word ^ EACH_BYTE('\\');
    uint64_t found = (quote - EACH_BYTE(1)) | (backslash - EACH_BYTE(1)) | (word - EACH_BYTE(' '));
    return (found | word) & EACH_BYTE(0x80);
}

static inline bool is_plain(char c)
{
    return (unsigned char)c >= ' ' && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* The last 4 to 7 bytes, some of them twice. */
static inline uint64_t load_rest(const char *at, const char *end)
{
    uint32_t first, last;
    memcpy(&first, at, sizeof first);
    memcpy(&last, end - sizeof last, sizeof last);
    return first | (uint64_t)last << 32;
}

const char *ml_json_plain(const char *at, const char *end)
{
    uint64_t word;
    while (end - at >= (ptrdiff_t)sizeof word) {
        memcpy(&word, at, sizeof word);
        if (special_bytes(word) != 0)
            break;
        at += sizeof word;
    }
    if (end - at >= 4 && end - at < 8 && special_bytes(load_rest(at, end)) == 0)
        return end;
    while (at < end && is_plain(*at))
        at++;
    return at;
}

static inline bool is_continuation(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* `low` and `high` exclude overlong forms, surrogates and values beyond Unicode. */
size_t ml_json_character(const char *at, const char *end)
{
    const unsigned char *p = (const unsigned char *)at;
    size_t size = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || (size_t)(end - at) < size)
        return 0;
    unsigned low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    bool is_good = p[1] >= low && p[1] <= high;
    for (size_t i = 2; is_good && i < size; i++)
        is_good = is_continuation(p[i]);
    return is_good ? size : 0;
}
