#include "http/names.h"

#include <stdbool.h>
#include <string.h>

#define ML_HTTP_NAME_ROW(id, name, place) [ML_HTTP_##id] = {name, sizeof name - 1},
const struct ml_http_known ml_http_known_names[ML_HTTP_NAME_COUNT] = {
    {"", 0}, ML_HTTP_NAMES(ML_HTTP_NAME_ROW)};
#undef ML_HTTP_NAME_ROW

#define ML_HTTP_NAME_PLACE(id, name, place) [place] = ML_HTTP_##id,
static const uint8_t places[256] = {ML_HTTP_NAMES(ML_HTTP_NAME_PLACE)};
#undef ML_HTTP_NAME_PLACE

/* A search has chosen the factors so that no two names collide. */
static uint8_t hash_of(const char *name, size_t size)
{
    unsigned first = (uint8_t)name[0] | 0x20u;
    unsigned last = (uint8_t)name[size - 1] | 0x20u;
    unsigned middle = (uint8_t)name[size / 2] | 0x20u;
    return (uint8_t)(size * 123 + first * 62 + last * 233 + middle * 44);
}

static uint64_t lower_word(const char *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof word);
    return word | 0x2020202020202020u;
}

/* Sets bit 5 before comparing. Among the characters of tokens that turns a capital into a small
 * letter; of all others it changes only a control character, which is none of them, into a
 * hyphen. */
static bool is_same(const char *name, const char *known, size_t size)
{
    size_t i = 0;
    for (; i + 8 <= size; i += 8)
        if (lower_word(name + i) != lower_word(known + i))
            return false;
    if (size >= 8)
        return lower_word(name + size - 8) == lower_word(known + size - 8);
    for (; i < size; i++)
        if ((name[i] | 0x20) != known[i])
            return false;
    return true;
}

enum ml_http_name ml_http_name_of(const char *name, size_t size)
{
    if (size == 0)
        return ML_HTTP_OTHER;
    enum ml_http_name found = places[hash_of(name, size)];
    const struct ml_http_known *known = &ml_http_known_names[found];
    return known->size == size && is_same(name, known->text, size) ? found : ML_HTTP_OTHER;
}
