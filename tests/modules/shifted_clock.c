/*
 * A machine whose clock of the day is wrong by $CLOCK_SHIFT seconds, for LD_PRELOAD.
 */
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#define EXPORTED __attribute__((visibility("default")))

static time_t shift(void)
{
    const char *text = getenv("CLOCK_SHIFT");
    return text ? (time_t)atol(text) : 0;
}

EXPORTED int clock_gettime(clockid_t clock, struct timespec *now)
{
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(clock, now);
    if (result == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return result;
}

EXPORTED int gettimeofday(struct timeval *now, void *zone)
{
    int (*real)(struct timeval *, void *) = dlsym(RTLD_NEXT, "gettimeofday");
    int result = real(now, zone);
    if (result == 0)
        now->tv_sec += shift();
    return result;
}

EXPORTED time_t time(time_t *now)
{
    struct timespec precise;
    time_t seconds = clock_gettime(CLOCK_REALTIME, &precise) == 0 ? precise.tv_sec : (time_t)-1;
    if (now)
        *now = seconds;
    return seconds;
}
