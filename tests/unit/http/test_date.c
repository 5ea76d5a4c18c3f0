/*
 * Dates of HTTP and of cookies (http/date.h): three forms are read, what is no day is not, and what
 * was written is read as the same second.
 */
#include "http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { NOW = 784111777 }; /* Sun, 06 Nov 1994 08:49:37 GMT */

static bool read_at(const char *text, int64_t now, int64_t *seconds)
{
    return ml_http_date_parse(text, strlen(text), now, seconds);
}

static void the_three_forms_are_one_second(void **state)
{
    (void)state;
    static const char *const forms[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "Mon, 06 Nov 1994 08:49:37 GMT", /* the day's name is not compared */
    };
    int64_t seconds;
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        assert_true(read_at(forms[i], NOW, &seconds));
        assert_int_equal(seconds, NOW);
    }
}

static void what_is_no_date_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        " ",
        "0",
        "784111777",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun,06 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Son, 06 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 29 Feb 1900 08:49:37 GMT",
        "Sun, 29 Feb 2001 08:49:37 GMT",
        "Sun, 30 Feb 2000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:00:00 GMT",
        "Sun, 06 Nov 1994 08:60:00 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 06 Nov 1994 8:49:37 GMT",
        "Sun, 06 Nov 1994 08:49 GMT",
        "Sun, 06 Nov +994 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sun Nov 6 08:49:37 1994",
        "Sun Nov  6 08:49:37 94",
    };
    int64_t seconds;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (read_at(bad[i], NOW, &seconds))
            fail_msg("%s is read as %lld", bad[i], (long long)seconds);
    static const char good[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    for (size_t size = 0; size + 1 < sizeof good; size++)
        assert_false(ml_http_date_parse(good, size, NOW, &seconds));
    assert_false(ml_http_date_parse(good, sizeof good, NOW, &seconds)); /* with its zero */
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    char text[ML_HTTP_DATE_SIZE + 1] = "", libc[64];
    int64_t seconds;
    for (int64_t at = -62167219200; at < 253402300799; at += 86400 * 97 + 12345) {
        time_t as_time = (time_t)at;
        struct tm tm;
        ml_http_date_write(text, at);
        gmtime_r(&as_time, &tm);
        strftime(libc, sizeof libc, "%a, %d %b %Y %H:%M:%S GMT", &tm);
        if (tm.tm_year + 1900 >= 1000)
            assert_string_equal(text, libc);
        assert_true(read_at(text, 0, &seconds));
        assert_int_equal(seconds, at);
    }
}

static void years_beyond_four_digits_become_the_nearest(void **state)
{
    (void)state;
    char text[ML_HTTP_DATE_SIZE + 1] = "";
    ml_http_date_write(text, INT64_MAX);
    assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
    ml_http_date_write(text, INT64_MIN);
    assert_string_equal(text, "Sat, 01 Jan 0000 00:00:00 GMT");
}

static void a_year_of_two_digits_is_near_now(void **state)
{
    (void)state;
    static const struct {
        int64_t now;
        const char *year;
        int64_t expected;
    } cases[] = {
        {1700000000, "23", 1672531200}, /* 2023 */
        {1700000000, "72", 3218832000}, /* 2072: 49 years ahead */
        {1700000000, "74", 126230400},  /* 1974: 49 years ago */
        {1700000000, "99", 915148800},  /* 1999 */
        {NOW, "00", 946684800},         /* 2000 */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        int64_t seconds;
        snprintf(text, sizeof text, "Sunday, 01-Jan-%s 00:00:00 GMT", cases[i].year);
        assert_true(read_at(text, cases[i].now, &seconds));
        assert_int_equal(seconds, cases[i].expected);
    }
}

static void cookies_have_their_parts_in_any_order(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_date;
    } cases[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", true},
        {"06-Nov-94 08:49:37", true},
        {"1994 nov 06 08:49:37", true}, /* four digits are no day */
        {"08:49:37 6 November 1994 junk", true},
        {"Sun Nov 6 8:49:37 1994", true},
        {"06 Nov 1994", false},
        {"Nov 1994 08:49:37", false},
        {"06 1994 08:49:37", false},
        {"06 Nov 08:49:37", false},
        {"06 Nov 1600 08:49:37", false},
        {"32 Nov 1994 08:49:37", false},
        {"31 Nov 1994 08:49:37", false},
        {"06 Nov 1994 24:49:37", false},
        {"06 Nov 1994 08:60:37", false},
        {"06 Nov 1994 08:49:60", false},
        {"", false},
        {"\xff\xff", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t seconds;
        const char *text = cases[i].text;
        bool is_date = ml_http_cookie_date_parse(text, strlen(text), &seconds);
        if (is_date != cases[i].is_date || (is_date && seconds != NOW))
            fail_msg("%s: %d, %lld", text, is_date, (long long)seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_three_forms_are_one_second),
        cmocka_unit_test(what_is_no_date_is_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(years_beyond_four_digits_become_the_nearest),
        cmocka_unit_test(a_year_of_two_digits_is_near_now),
        cmocka_unit_test(cookies_have_their_parts_in_any_order),
    };
    return cmocka_run_group_tests_name("http.date", tests, NULL, NULL);
}
