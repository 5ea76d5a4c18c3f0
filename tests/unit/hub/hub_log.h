/* A log that the tasks of one test write numbers into, to show in which order things happened. */
#ifndef ML_TESTS_HUB_LOG_H
#define ML_TESTS_HUB_LOG_H

enum { LOG_SIZE = 4096 };

static int logged[LOG_SIZE];
static int log_length;

static inline void clear_log(void)
{
    log_length = 0;
}

static inline void note(int value)
{
    assert_true(log_length < LOG_SIZE);
    logged[log_length++] = value;
}

static inline void assert_log(const int *expected, int count)
{
    assert_int_equal(log_length, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(logged[i], expected[i]);
}

/* The numbers that the log holds from its beginning on. */
#define ASSERT_LOG(...)                                                                            \
    assert_log((const int[]){__VA_ARGS__}, sizeof((const int[]){__VA_ARGS__}) / sizeof(int))

#endif
