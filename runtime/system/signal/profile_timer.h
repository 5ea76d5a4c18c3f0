/*
 * Ticks of the CPU clock of one thread: SIGPROF comes to the thread itself after each period that
 * it has computed, never while it sleeps. Owns the process's action for SIGPROF while any thread
 * has ticks. Knows no task and no Lua.
 */
#ifndef ML_SYSTEM_SIGNAL_PROFILE_TIMER_H
#define ML_SYSTEM_SIGNAL_PROFILE_TIMER_H

#include "base/clock.h"

#include <signal.h>
#include <stdbool.h>
#include <time.h>
#include <ucontext.h>

struct ml_profile_timer {
    /* Called in the signal handler, on the thread that opened the timer. ticks: 1, and those that
     * came too late to be signals of their own. */
    void (*tick)(struct ml_profile_timer *timer, unsigned ticks, const ucontext_t *interrupted);
    timer_t id;
    pid_t process;    /* that has the timer: not a fork of it */
    bool was_blocked; /* the thread had blocked SIGPROF */
};

/* Begins the ticks of the calling thread; `tick` is set. 0; -EBUSY: other code has a handler for
 * SIGPROF, or this thread has ticks already; or another negated errno. */
int ml_profile_timer_open(struct ml_profile_timer *timer, ml_time period);

/* Ends them, on the same thread: `tick` is not called any more, and SIGPROF does what it did
 * before. Also in a fork of the process, which has no ticks. */
void ml_profile_timer_close(struct ml_profile_timer *timer);

/* The CPU time of the calling thread. A system call. */
ml_time ml_profile_thread_time(void);

#endif
