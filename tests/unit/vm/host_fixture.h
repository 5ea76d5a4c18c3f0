/*
 * What the tests of the public header share: a runtime that heeds no environment, programs from
 * strings, the clock, what the process has.
 */
#ifndef ML_TESTS_HOST_FIXTURE_H
#define ML_TESTS_HOST_FIXTURE_H

#include "moonlet.h"

#include <dirent.h>
#include <stdio.h>
#include <time.h>

/* A generous bound for what is waited for, seconds. */
#define PATIENCE 30.0

static inline struct moonlet *open_runtime(struct moonlet_options options)
{
    options.ignore_environment = true;
    struct moonlet *m = moonlet_create(&options);
    assert_non_null(m);
    return m;
}

/* Returns what moonlet_run() does. */
static inline int run_string(struct moonlet *m, const char *source)
{
    assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
    return moonlet_run(m);
}

static inline void start_string(struct moonlet *m, const char *source)
{
    assert_int_equal(moonlet_load_string(m, source, "=test"), 0);
    assert_int_equal(moonlet_start(m), 0);
}

/* Seconds of the monotonic clock. */
static inline double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* How many descriptors (of "fd") or threads (of "task") the process has, or so: what is said of a
 * directory is counted, too. */
static inline int count_own(const char *what)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/%s", what);
    DIR *directory = opendir(path);
    int count = 0;
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

#endif
