/*
 * ml_http_scan_text() for x86-64, sixteen bytes at a time.
 */
#ifndef ML_HTTP_SCAN_SSE2_H
#define ML_HTTP_SCAN_SSE2_H

#include "http/scan_words.h"

#include <emmintrin.h>

/* A bit for each of the sixteen bytes that is a control character other than the tab. */
static inline unsigned ml_http_odd_bytes(const char *at)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes);
    __m128i tabs = _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\t'));
    __m128i deletes = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x7f));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_andnot_si128(tabs, low), deletes));
}

static inline const char *ml_http_scan_text_sse2(const char *at, const char *end)
{
    for (; end - at >= 16; at += 16) {
        unsigned odd = ml_http_odd_bytes(at);
        if (odd != 0)
            return at + __builtin_ctz(odd);
    }
    return ml_http_scan_text_words(at, end);
}

#endif
