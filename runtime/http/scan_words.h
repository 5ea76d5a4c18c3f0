/*
 * ml_http_scan_text() for any machine, eight bytes at a time.
 */
#ifndef ML_HTTP_SCAN_WORDS_H
#define ML_HTTP_SCAN_WORDS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

static inline bool ml_http_is_text(char c)
{
    return ((uint8_t)c >= 0x20 && c != 0x7f) || c == '\t';
}

/* True if at least one of the eight bytes is a control character; tabs count, too. */
static inline bool ml_http_word_is_odd(const char *at)
{
    const uint64_t ones = 0x0101010101010101u;
    uint64_t word;
    memcpy(&word, at, sizeof word);
    uint64_t low = (word - ones * 0x20) & ~word;
    uint64_t deletes = word ^ (ones * 0x7f);
    deletes = (deletes - ones) & ~deletes;
    return ((low | deletes) & (ones * 0x80)) != 0;
}

static inline const char *ml_http_scan_text_words(const char *at, const char *end)
{
    while (end - at >= 8) {
        if (!ml_http_word_is_odd(at)) {
            at += 8;
            continue;
        }
        for (const char *stop = at + 8; at < stop; at++)
            if (!ml_http_is_text(*at))
                return at;
    }
    while (at < end && ml_http_is_text(*at))
        at++;
    return at;
}

#endif
