#include "base/utf8.h"

#include <stdint.h>
#include <string.h>

/* Bytes of ASCII from `at` on, eight at a time. */
static size_t skip_ascii(const char *data, size_t at, size_t size)
{
    uint64_t word;
    while (size - at >= sizeof word) {
        memcpy(&word, data + at, sizeof word);
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
        at += sizeof word;
    }
    return at;
}

/* The first byte of a character; false: it cannot be one. The range of the second byte excludes
 * overlong forms, surrogates and values beyond U+10FFFF. */
static bool begin(struct ml_utf8 *u, unsigned char byte)
{
    u->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    u->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    u->missing = byte < 0x80 ? 0 : byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    return byte < 0x80 || (byte >= 0xC2 && byte <= 0xF4);
}

static bool go_on(struct ml_utf8 *u, unsigned char byte)
{
    bool fits = byte >= u->low && byte <= u->high;
    u->low = 0x80;
    u->high = 0xBF;
    u->missing--;
    return fits;
}

bool ml_utf8_check(struct ml_utf8 *u, const char *data, size_t size)
{
    size_t at = 0;
    bool is_valid = true;
    while (is_valid && at < size) {
        if (u->missing == 0)
            at = skip_ascii(data, at, size);
        if (at < size) {
            unsigned char byte = (unsigned char)data[at++];
            is_valid = u->missing > 0 ? go_on(u, byte) : begin(u, byte);
        }
    }
    return is_valid;
}
