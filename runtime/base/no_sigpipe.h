/*
 * Writes to pipes and sockets that may have no reader: SIGPIPE is blocked meanwhile, and a SIGPIPE
 * that the write raised is taken away; one that was pending before stays. May not span a switch of
 * tasks.
 */
#ifndef ML_BASE_NO_SIGPIPE_H
#define ML_BASE_NO_SIGPIPE_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

struct ml_quiet {
    sigset_t before;
    bool was_pending;
};

static inline struct ml_quiet ml_quiet_begin(void)
{
    struct ml_quiet quiet;
    sigset_t broken, pending;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &broken, &quiet.before);
    quiet.was_pending = false; /* one that is not blocked is delivered at once */
    if (sigismember(&quiet.before, SIGPIPE)) {
        sigpending(&pending);
        quiet.was_pending = sigismember(&pending, SIGPIPE);
    }
    return quiet;
}

/* is_broken: a call in between failed with EPIPE. Keeps errno. */
static inline void ml_quiet_end(struct ml_quiet quiet, bool is_broken)
{
    static const struct timespec at_once;
    int saved = errno;
    sigset_t broken;
    sigemptyset(&broken);
    sigaddset(&broken, SIGPIPE);
    if (is_broken && !quiet.was_pending)
        sigtimedwait(&broken, NULL, &at_once);
    pthread_sigmask(SIG_SETMASK, &quiet.before, NULL);
    errno = saved;
}

#endif
