#include "http/date.h"

#include "http/syntax.h"

#include <string.h>

static const char days[] = "SunMonTueWedThuFriSat";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

struct date {
    int year, month, day, hour, minute, second; /* month from 0, day from 1 */
};

/* ---- the calendar ---- */

/* Days since 1970-01-01. Years begin in March here, so that a leap day is the last day of a
 * year. */
static int64_t days_of(const struct date *date)
{
    int64_t year = date->year - (date->month < 2);
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    int64_t of_era = year - era * 400;
    int64_t of_year = (153 * ((date->month + 10) % 12) + 2) / 5 + date->day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void set_day(struct date *date, int64_t day)
{
    day += 719468;
    int64_t era = (day >= 0 ? day : day - 146096) / 146097;
    int64_t of_era = day - era * 146097;
    int64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    int64_t of_year = of_era - (365 * year + year / 4 - year / 100);
    int month = (int)(5 * of_year + 2) / 153;
    date->day = (int)of_year - (153 * month + 2) / 5 + 1;
    date->month = (month + 2) % 12;
    date->year = (int)(year + era * 400) + (date->month < 2);
}

static int length_of_month(const struct date *date)
{
    static const uint8_t lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = date->year % 4 == 0 && (date->year % 100 != 0 || date->year % 400 == 0);
    return lengths[date->month] + (date->month == 1 && is_leap);
}

/* A leap second counts as the second after it. */
static bool seconds_of(const struct date *date, int64_t *seconds)
{
    *seconds = 0;
    if (date->day < 1 || date->day > length_of_month(date) || date->hour > 23 ||
        date->minute > 59 || date->second > 60)
        return false;
    *seconds = days_of(date) * 86400 + date->hour * 3600 + date->minute * 60 + date->second;
    return true;
}

/* ---- writing ---- */

static void write_digits(char *to, int number, int count)
{
    while (count-- > 0) {
        to[count] = (char)('0' + number % 10);
        number /= 10;
    }
}

void ml_http_date_write(char to[ML_HTTP_DATE_SIZE], int64_t seconds)
{
    static const int64_t first = -62167219200, last = 253402300799;
    struct date date;
    seconds = seconds < first ? first : seconds > last ? last : seconds;
    int64_t day = (seconds - first) / 86400 + first / 86400;
    int of_day = (int)(seconds - day * 86400);
    set_day(&date, day);
    memcpy(to, "Sun, 06 Nov 1994 08:49:37 GMT", ML_HTTP_DATE_SIZE);
    memcpy(to, days + (day - first / 86400 + 6) % 7 * 3, 3); /* year 0 began on a Saturday */
    write_digits(to + 5, date.day, 2);
    memcpy(to + 8, months + date.month * 3, 3);
    write_digits(to + 12, date.year, 4);
    write_digits(to + 17, of_day / 3600, 2);
    write_digits(to + 20, of_day / 60 % 60, 2);
    write_digits(to + 23, of_day % 60, 2);
}

/* ---- reading ---- */

/* The place of a name of three letters in a list of such names; -1: it is not there. */
static int place_of(const char *list, const char *name)
{
    for (int i = 0; list[i * 3] != '\0'; i++)
        if (memcmp(list + i * 3, name, 3) == 0)
            return i;
    return -1;
}

/*
 * Reads text by a pattern. Letters of a pattern:
 *
 * - `w`: a day's name of three letters; `W`: in full;
 * - `m`: a month;
 * - `d`: the day; `p`: the day, with a space for a leading zero;
 * - `Y`: a year of four digits; `y`: of two;
 * - `t`: the time.
 *
 * Any other character stands for itself.
 */
struct pattern {
    const char *at, *end;
    struct date date;
};

static bool read_digits(struct pattern *p, int count, int *number)
{
    *number = 0;
    if (p->end - p->at < count)
        return false;
    for (; count > 0; count--, p->at++) {
        if (!ml_http_is(*p->at, ML_HTTP_DIGIT))
            return false;
        *number = *number * 10 + (*p->at - '0');
    }
    return true;
}

static bool read_name(struct pattern *p, const char *list, int *place)
{
    *place = p->end - p->at >= 3 ? place_of(list, p->at) : -1;
    p->at += *place >= 0 ? 3 : 0;
    return *place >= 0;
}

static bool read_long_day(struct pattern *p)
{
    static const char *const names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                        "Thursday", "Friday", "Saturday"};
    for (int i = 0; i < 7; i++) {
        size_t size = strlen(names[i]);
        if ((size_t)(p->end - p->at) >= size && memcmp(p->at, names[i], size) == 0) {
            p->at += size;
            return true;
        }
    }
    return false;
}

static bool read_character(struct pattern *p, char c)
{
    return p->at < p->end && *p->at++ == c;
}

static bool read_time(struct pattern *p)
{
    return read_digits(p, 2, &p->date.hour) && read_character(p, ':') &&
           read_digits(p, 2, &p->date.minute) && read_character(p, ':') &&
           read_digits(p, 2, &p->date.second);
}

static bool read_padded_day(struct pattern *p)
{
    if (p->at < p->end && *p->at == ' ') {
        p->at++;
        return read_digits(p, 1, &p->date.day);
    }
    return read_digits(p, 2, &p->date.day);
}

static bool read_part(struct pattern *p, char part)
{
    int ignored;
    switch (part) {
    case 'w':
        return read_name(p, days, &ignored);
    case 'W':
        return read_long_day(p);
    case 'm':
        return read_name(p, months, &p->date.month);
    case 'd':
        return read_digits(p, 2, &p->date.day);
    case 'p':
        return read_padded_day(p);
    case 'Y':
        return read_digits(p, 4, &p->date.year);
    case 'y':
        return read_digits(p, 2, &p->date.year);
    case 't':
        return read_time(p);
    default:
        return read_character(p, part);
    }
}

static bool read_pattern(struct pattern *p, const char *text, size_t size, const char *pattern)
{
    *p = (struct pattern){text, text + size, {0}};
    while (*pattern != '\0' && read_part(p, *pattern))
        pattern++;
    return *pattern == '\0' && p->at == p->end;
}

/* The full year of a year of two digits: the last one that is at most 50 years after `now`. */
static int full_year(int year, int64_t now)
{
    struct date today;
    set_day(&today, now / 86400);
    year += today.year - today.year % 100 + 100;
    while (year > today.year + 50)
        year -= 100;
    return year;
}

bool ml_http_date_parse(const char *text, size_t size, int64_t now, int64_t *seconds)
{
    struct pattern p;
    *seconds = 0;
    if (read_pattern(&p, text, size, "w, d m Y t GMT") || read_pattern(&p, text, size, "w m p t Y"))
        return seconds_of(&p.date, seconds);
    if (!read_pattern(&p, text, size, "W, d-m-y t GMT"))
        return false;
    p.date.year = full_year(p.date.year, now);
    return seconds_of(&p.date, seconds);
}

/* ---- dates of cookies ---- */

/* The parts of a cookie's date, and which of them were found. */
struct parts {
    struct date date;
    bool has_time, has_day, has_month, has_year;
};

/* Reads digits at the start, `least` to `most` of them; another digit must not follow. */
static bool leading_number(struct ml_http_text *token, size_t least, size_t most, int *number)
{
    size_t size = 0;
    int value = 0;
    while (size < token->size && size <= most && ml_http_is(token->at[size], ML_HTTP_DIGIT))
        value = value * 10 + (token->at[size++] - '0');
    if (size < least || size > most)
        return false;
    *number = value;
    *token = (struct ml_http_text){token->at + size, token->size - size};
    return true;
}

static bool skip_colon(struct ml_http_text *token)
{
    if (token->size == 0 || token->at[0] != ':')
        return false;
    *token = (struct ml_http_text){token->at + 1, token->size - 1};
    return true;
}

static bool take_time(struct parts *parts, struct ml_http_text token)
{
    struct date *date = &parts->date;
    return !parts->has_time && leading_number(&token, 1, 2, &date->hour) && skip_colon(&token) &&
           leading_number(&token, 1, 2, &date->minute) && skip_colon(&token) &&
           leading_number(&token, 1, 2, &date->second);
}

static bool take_month(struct parts *parts, struct ml_http_text token)
{
    if (parts->has_month || token.size < 3)
        return false;
    for (int i = 0; i < 12; i++) {
        char name[4] = {months[i * 3], months[i * 3 + 1], months[i * 3 + 2], '\0'};
        if (ml_http_is_same_word(token.at, 3, name)) {
            parts->date.month = i;
            return true;
        }
    }
    return false;
}

static void take_token(struct parts *parts, struct ml_http_text token)
{
    struct ml_http_text copy = token;
    if (take_time(parts, token))
        parts->has_time = true;
    else if (!parts->has_day && leading_number(&copy, 1, 2, &parts->date.day))
        parts->has_day = true;
    else if (take_month(parts, token))
        parts->has_month = true;
    else if (!parts->has_year && leading_number(&token, 2, 4, &parts->date.year))
        parts->has_year = true;
}

static bool is_delimiter(char c)
{
    uint8_t u = (uint8_t)c;
    return u == 0x09 || (u >= 0x20 && u <= 0x2f) || (u >= 0x3b && u <= 0x40) ||
           (u >= 0x5b && u <= 0x60) || (u >= 0x7b && u <= 0x7e);
}

bool ml_http_cookie_date_parse(const char *text, size_t size, int64_t *seconds)
{
    struct parts parts = {0};
    *seconds = 0;
    for (size_t start = 0, i = 0; i <= size; i++) {
        if (i < size && !is_delimiter(text[i]))
            continue;
        if (i > start)
            take_token(&parts, (struct ml_http_text){text + start, i - start});
        start = i + 1;
    }
    if (!parts.has_time || !parts.has_day || !parts.has_month || !parts.has_year)
        return false;
    if (parts.date.year < 100)
        parts.date.year += parts.date.year >= 70 ? 1900 : 2000;
    return parts.date.year >= 1601 && parts.date.second <= 59 && seconds_of(&parts.date, seconds);
}
