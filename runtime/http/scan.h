/*
 * Looks for the first byte that cannot be in a field's value: a control character other than the
 * tab. Reads inside the given bytes only. Knows nothing of lines.
 *
 *     const char *ml_http_scan_text(const char *at, const char *end)
 *
 * returns the first such byte of [at, end), or end.
 */
#ifndef ML_HTTP_SCAN_H
#define ML_HTTP_SCAN_H

#if defined(__SSE2__)
#include "http/scan_sse2.h"
#define ml_http_scan_text ml_http_scan_text_sse2
#else
#include "http/scan_words.h"
#define ml_http_scan_text ml_http_scan_text_words
#endif

#endif
