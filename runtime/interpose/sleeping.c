/*
 * nanosleep and its family. Many callers sleep the remaining time until none is left, whatever
 * errno says. So a cancelled sleep reports no remaining time, and a sleep of zero length does not
 * fail.
 */
#include "interpose/call_wait.h"
#include "interpose/libc_call.h"
#include "interpose/result.h"
#include "interpose/timespan.h"

#include <errno.h>
#include <stddef.h>

/* 0; or a negated errno, with the remaining time in *left; or ML_PLAINLY. */
static int sleep_for(struct ml_libc_calls *calls, struct ml_libc_call entry, ml_time span,
                     ml_time *left)
{
    ml_time deadline = ml_time_after(ml_hub_now(calls->hub), span);
    int error = ml_call_wait_time(calls, entry, deadline);
    ml_time rest = deadline - ml_hub_now(calls->hub);
    *left = rest > 0 && error != -ECANCELED ? rest : 0;
    return error == -ETIMEDOUT || (error == -ECANCELED && span == 0) ? 0 : error;
}

int ml_co_nanosleep(struct ml_libc_calls *calls, const struct timespec *span, struct timespec *left)
{
    ml_time rest;
    if (span == NULL || !ml_is_timespan(span))
        return ml_fail(span == NULL ? -EFAULT : -EINVAL);
    int error = sleep_for(calls, calls->entry, ml_timespan(span), &rest);
    if (error == ML_PLAINLY)
        return ml_libc.nanosleep(span, left);
    if (error != 0 && left != NULL)
        *left = (struct timespec){rest / ML_SECOND, rest % ML_SECOND};
    return error == 0 ? 0 : ml_fail(error);
}

/* The time until `at` on that clock. Later changes of the clock have no effect. */
static ml_time until(clockid_t clock, const struct timespec *at)
{
    struct timespec now;
    clock_gettime(clock, &now);
    ml_time span = ml_time_between(ml_timespan(&now), ml_timespan(at));
    return span > 0 ? span : 0;
}

/* Returns the error's number. Clocks of processor time are left to libc. */
int ml_co_clock_nanosleep(struct ml_libc_calls *calls, clockid_t clock, int flags,
                          const struct timespec *span, struct timespec *left)
{
    ml_time rest;
    bool is_absolute = (flags & TIMER_ABSTIME) != 0;
    bool is_ours = clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME;
    if (!is_ours || span == NULL || !ml_is_timespan(span))
        return ml_libc.clock_nanosleep(clock, flags, span, left);
    int error =
        sleep_for(calls, calls->entry, is_absolute ? until(clock, span) : ml_timespan(span), &rest);
    if (error == ML_PLAINLY)
        return ml_libc.clock_nanosleep(clock, flags, span, left);
    if (error != 0 && left != NULL && !is_absolute)
        *left = (struct timespec){rest / ML_SECOND, rest % ML_SECOND};
    return -error;
}

int ml_co_usleep(struct ml_libc_calls *calls, useconds_t span)
{
    ml_time rest;
    int error = sleep_for(calls, calls->entry, span * (ML_SECOND / 1000000), &rest);
    if (error == ML_PLAINLY)
        return ml_libc.usleep(span);
    return error == 0 ? 0 : ml_fail(error);
}

/* Returns the whole seconds that remain. */
unsigned ml_co_sleep(struct ml_libc_calls *calls, unsigned span)
{
    ml_time rest;
    int error = sleep_for(calls, calls->entry, span * ML_SECOND, &rest);
    if (error == ML_PLAINLY)
        return ml_libc.sleep(span);
    if (error == 0)
        return 0;
    errno = -error;
    return (unsigned)(rest / ML_SECOND);
}
