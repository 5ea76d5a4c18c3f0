/*
 * Calls of libc that fail on purpose. The linker sends every such call of the library's and of the
 * test's to tests/unit/failing_calls.c first; those of other libraries are not touched. Counted for
 * each thread, so that a test lets its own calls fail and nobody else's.
 */
#ifndef ML_TESTS_FAILING_CALLS_H
#define ML_TESTS_FAILING_CALLS_H

#include <stdbool.h>

enum failing_call {
    FAIL_NONE,
    FAIL_MEMORY, /* malloc(), calloc(), realloc(): ENOMEM */
    FAIL_MMAP,   /* ENOMEM */
    FAIL_THREAD  /* pthread_create(): EAGAIN */
};

/* From now on the `first`-th such call of this thread (1: the next) and the `count` - 1 after it
 * fail. FAIL_NONE: none does. */
void fail_calls(enum failing_call call, unsigned first, unsigned count);

/* Ends that. How many calls have failed. */
unsigned end_failing(void);

#endif
