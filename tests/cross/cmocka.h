/*
 * As much of cmocka's interface as tests/unit/coro/test_*.c use, so that the very same files run on
 * a machine for which there is no cmocka: they include this one in its place. Failures and skips
 * leap off the test, as cmocka's do.
 */
#ifndef ML_TESTS_CROSS_CMOCKA_H
#define ML_TESTS_CROSS_CMOCKA_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct CMUnitTest {
    const char *name;
    void (*function)(void **state);
};

#define cmocka_unit_test(function)                                                                 \
    {                                                                                              \
#function, function                                                                        \
    }

enum { CROSS_PASSED, CROSS_FAILED, CROSS_SKIPPED };

static jmp_buf cross_end_of_test;

static inline _Noreturn void cross_end_test(int outcome)
{
    longjmp(cross_end_of_test, outcome);
}

static inline void cross_expect(bool condition, const char *text, const char *file, int line)
{
    if (condition)
        return;
    printf("%s:%d: not true: %s\n", file, line, text);
    cross_end_test(CROSS_FAILED);
}

static inline void cross_expect_equal(uintmax_t a, uintmax_t b, const char *text, const char *file,
                                      int line)
{
    if (a == b)
        return;
    printf("%s:%d: %s: %jd and %jd\n", file, line, text, (intmax_t)a, (intmax_t)b);
    cross_end_test(CROSS_FAILED);
}

static inline void cross_expect_range(uintmax_t value, uintmax_t least, uintmax_t most,
                                      const char *text, const char *file, int line)
{
    if (value >= least && value <= most)
        return;
    printf("%s:%d: %s: %ju is not in %ju..%ju\n", file, line, text, value, least, most);
    cross_end_test(CROSS_FAILED);
}

#define CROSS_NUMBER(value) ((uintmax_t)(value))

#define assert_true(condition) cross_expect((condition), #condition, __FILE__, __LINE__)
#define assert_false(condition) cross_expect(!(condition), "! " #condition, __FILE__, __LINE__)
#define assert_null(pointer)                                                                       \
    cross_expect((pointer) == NULL, #pointer " == NULL", __FILE__, __LINE__)
#define assert_non_null(pointer)                                                                   \
    cross_expect((pointer) != NULL, #pointer " != NULL", __FILE__, __LINE__)
#define assert_ptr_equal(a, b) cross_expect((a) == (b), #a " == " #b, __FILE__, __LINE__)
#define assert_ptr_not_equal(a, b) cross_expect((a) != (b), #a " != " #b, __FILE__, __LINE__)
#define assert_string_equal(a, b)                                                                  \
    cross_expect(strcmp((a), (b)) == 0, #a " equals " #b, __FILE__, __LINE__)
#define assert_int_equal(a, b)                                                                     \
    cross_expect_equal(CROSS_NUMBER(a), CROSS_NUMBER(b), #a " == " #b, __FILE__, __LINE__)
#define assert_in_range(value, least, most)                                                        \
    cross_expect_range(CROSS_NUMBER(value), CROSS_NUMBER(least), CROSS_NUMBER(most), #value,       \
                       __FILE__, __LINE__)
#define skip() cross_end_test(CROSS_SKIPPED)

static inline int cross_run(const struct CMUnitTest *test)
{
    void *state = NULL;
    int outcome = setjmp(cross_end_of_test);
    if (outcome == CROSS_PASSED)
        test->function(&state);
    return outcome;
}

/* The number of tests that failed. */
static inline int cross_run_all(const struct CMUnitTest *tests, size_t count)
{
    static const char *const words[] = {"ok      ", "FAILED  ", "skipped "};
    int outcomes[3] = {0};
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (size_t i = 0; i < count; i++) {
        int outcome = cross_run(&tests[i]);
        printf("%s%s\n", words[outcome], tests[i].name);
        outcomes[outcome]++;
    }
    printf("%d passed, %d failed, %d skipped\n", outcomes[CROSS_PASSED], outcomes[CROSS_FAILED],
           outcomes[CROSS_SKIPPED]);
    return outcomes[CROSS_FAILED];
}

#define cmocka_run_group_tests(tests, setup, teardown)                                             \
    cross_run_all(tests, sizeof(tests) / sizeof *(tests))

#endif
