/*
 * Dates of HTTP (RFC 9110, section 5.6.7) and of cookies (RFC 6265, section 5.1.1), as seconds
 * since 1970 in UTC. Knows nothing of the clock and of time zones.
 */
#ifndef ML_HTTP_DATE_H
#define ML_HTTP_DATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ML_HTTP_DATE_SIZE = 29 };

/* Writes `Sun, 06 Nov 1994 08:49:37 GMT` without a zero at the end. Years outside of 0 to 9999
 * become the nearest second in that range. 32 ns. */
void ml_http_date_write(char to[ML_HTTP_DATE_SIZE], int64_t seconds);

/*
 * Reads any of the three forms, in the exact case. Does not compare the day's name with the date.
 * False: malformed, or there is no such day.
 *
 * - `Sun, 06 Nov 1994 08:49:37 GMT`;
 * - `Sunday, 06-Nov-94 08:49:37 GMT`: the year is the one within 50 years of `now`;
 * - `Sun Nov  6 08:49:37 1994`.
 */
bool ml_http_date_parse(const char *text, size_t size, int64_t now, int64_t *seconds);

/* Reads the date of a cookie: tokens in any order. False: a part is missing or out of range. */
bool ml_http_cookie_date_parse(const char *text, size_t size, int64_t *seconds);

#endif
