/*
 * Whether the tests are built with ThreadSanitizer. It holds signals back until the thread makes a
 * call that it knows: so none reaches code that only computes.
 */
#ifndef ML_TESTS_THREAD_SANITIZER_H
#define ML_TESTS_THREAD_SANITIZER_H

#include <stdbool.h>

static inline bool is_under_thread_sanitizer(void)
{
#if defined(__SANITIZE_THREAD__)
    return true;
#else
    return false;
#endif
}

#endif
