/*
 * Children of a test that may die: what would end the test ends them. Knows no test framework.
 */
#ifndef ML_TESTS_CHILD_PROCESS_H
#define ML_TESTS_CHILD_PROCESS_H

#include "base/check.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The test framework and sanitizers answer these signals themselves; a child shall die by them. */
static inline void restore_default_signals(void)
{
    const int numbers[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        signal(numbers[i], SIG_DFL);
}

static inline _Noreturn void be_child(int (*body)(void *), void *argument)
{
    struct rlimit no_core = {0, 0};
    setrlimit(RLIMIT_CORE, &no_core);
    restore_default_signals();
    _exit(body(argument));
}

/* Runs body(argument) in a child whose exit status is its result. Returns the wait status. */
static inline int run_in_child(int (*body)(void *), void *argument)
{
    pid_t child = fork();
    ML_CHECK(child >= 0);
    if (child == 0)
        be_child(body, argument);
    int status;
    ML_CHECK(waitpid(child, &status, 0) == child);
    return status;
}

static inline bool died_by(int status, int signal_number)
{
    return WIFSIGNALED(status) && WTERMSIG(status) == signal_number;
}

static inline bool exited_with(int status, int code)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == code;
}

#endif
