/*
 * Invariants that stay checked in release builds: a broken one would corrupt a stack or lose a
 * task, so the process ends at once and says where. Knows nothing of its callers.
 */
#ifndef ML_BASE_CHECK_H
#define ML_BASE_CHECK_H

/* Prints the broken condition with its place on stderr and aborts. Never returns. */
_Noreturn void ml_check_failed(const char *condition, const char *file, int line);

#define ML_CHECK(condition)                                                                        \
    (__builtin_expect(!!(condition), 1) ? (void)0 : ml_check_failed(#condition, __FILE__, __LINE__))

#define ml_likely(condition) __builtin_expect(!!(condition), 1)
#define ml_unlikely(condition) __builtin_expect(!!(condition), 0)

/* The struct of `type` whose `member` is at `pointer`. */
#define ml_container_of(pointer, type, member) ((type *)((char *)(pointer)-offsetof(type, member)))

#endif
