/* select and pselect. */
#include "interpose/poll_loop.h"
#include "interpose/result.h"
#include "interpose/timespan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct timespec no_time = {0};

enum { SETS = 3 };

/* The answer overwrites the caller's three sets; `asked` keeps their content from before. */
struct select_call {
    int count;
    size_t size; /* bytes of a set */
    fd_set *sets[SETS];
    char *asked;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static void restore(const struct select_call *c)
{
    for (int i = 0; i < SETS; i++)
        if (c->sets[i] != NULL)
            memcpy(c->sets[i], c->asked + (size_t)i * c->size, c->size);
}

static int ask_select_for(struct select_call *c, const struct timespec *timeout)
{
    restore(c);
    return ml_libc.pselect(c->count, c->sets[0], c->sets[1], c->sets[2], timeout, c->mask);
}

static int ask_select(void *call)
{
    return ask_select_for(call, &no_time);
}

static int ask_select_plainly(void *call)
{
    struct select_call *c = call;
    return ask_select_for(c, c->timeout);
}

/* A set may be longer than FD_SETSIZE. */
static bool is_set(const struct select_call *c, int which, int fd)
{
    const unsigned char *bits = (const unsigned char *)c->asked + (size_t)which * c->size;
    return c->sets[which] != NULL && (bits[fd / CHAR_BIT] >> fd % CHAR_BIT & 1) != 0;
}

static bool is_open(int fd)
{
    int saved = errno;
    bool is = fcntl(fd, F_GETFD) >= 0;
    errno = saved;
    return is;
}

/* The kernel was asked before and ignores numbers above the process's limit
 * (at_most_possible()). */
static void add_select(struct ml_poll_set *set, void *call)
{
    const struct select_call *c = call;
    for (int fd = 0; fd < c->count; fd++) {
        bool readable = is_set(c, 0, fd) || is_set(c, 2, fd), writable = is_set(c, 1, fd);
        if ((readable || writable) && is_open(fd))
            ml_poll_set_add(set, fd, readable, writable);
    }
}

static unsigned count_select(const struct select_call *c)
{
    unsigned count = 0;
    for (int fd = 0; fd < c->count; fd++)
        count += is_set(c, 0, fd) || is_set(c, 1, fd) || is_set(c, 2, fd);
    return count;
}

static bool has_exceptional(void *call)
{
    return ((const struct select_call *)call)->sets[2] != NULL;
}

static void keep_asked(struct select_call *c)
{
    for (int i = 0; i < SETS; i++)
        if (c->sets[i] != NULL)
            memcpy(c->asked + (size_t)i * c->size, c->sets[i], c->size);
}

static int select_with(struct ml_libc_calls *calls, struct select_call *call)
{
    struct ml_question question = {.ask = ask_select,
                                   .ask_plainly = ask_select_plainly,
                                   .add = add_select,
                                   .closed = ml_question_is_bad,
                                   .call = call,
                                   .is_masked = call->mask != NULL,
                                   .is_urgent = has_exceptional};
    keep_asked(call);
    question.count = count_select(call);
    int result = ml_question_answer(calls, &question, ml_timespan(call->timeout));
    if (result < 0)
        restore(call);
    return result;
}

/*
 * The kernel reads no more of a set than the process may have descriptors (select(2), "nfds"),
 * which is less than getdtablesize() says. The set may end there.
 */
static int at_most_possible(int count)
{
    char line[128];
    int places = 0;
    FILE *status = ml_libc.fopen("/proc/self/status", "re");
    while (status != NULL && places == 0 && ml_libc.fgets(line, sizeof line, status) != NULL)
        if (strncmp(line, "FDSize:", 7) == 0)
            places = atoi(line + 7);
    if (status != NULL)
        ml_libc.fclose(status);
    return places > 0 && places < count ? places : count;
}

int ml_co_pselect(struct ml_libc_calls *calls, int count, fd_set *readable, fd_set *writable,
                  fd_set *exceptional, const struct timespec *timeout, const sigset_t *mask)
{
    enum { WORD = sizeof(fd_mask) * CHAR_BIT };
    fd_mask small[SETS * FD_SETSIZE / WORD];
    struct select_call call = {.count = count,
                               .sets = {readable, writable, exceptional},
                               .asked = (char *)small,
                               .timeout = timeout,
                               .mask = mask};
    if (count < 0 || (timeout != NULL && !ml_is_timespan(timeout)))
        return ml_fail(-EINVAL);
    if (count > FD_SETSIZE)
        call.count = count = at_most_possible(count);
    call.size = ((size_t)count + WORD - 1) / WORD * sizeof(fd_mask);
    bool is_large = count > FD_SETSIZE;
    if (is_large)
        call.asked = malloc(SETS * call.size);
    if (call.asked == NULL)
        return ml_fail(-ENOMEM);
    int result = select_with(calls, &call);
    if (is_large)
        free(call.asked);
    return result;
}

/* The rest of a span that began at `start`. */
static struct timeval rest_of(const struct ml_libc_calls *calls, struct timespec span,
                              ml_time start)
{
    ml_time past = ml_hub_now(calls->hub) - start;
    struct timeval rest = {span.tv_sec - past / ML_SECOND,
                           (span.tv_nsec - past % ML_SECOND) / 1000};
    if (rest.tv_usec < 0)
        rest.tv_sec--, rest.tv_usec += 1000000;
    return rest.tv_sec < 0 ? (struct timeval){0, 0} : rest;
}

/* More than a second of microseconds is carried over into the seconds, as far as they have room. */
static struct timespec timespec_of(const struct timeval *span)
{
    struct timespec result = {.tv_nsec = span->tv_usec % 1000000 * 1000};
    if (__builtin_add_overflow(span->tv_sec, span->tv_usec / 1000000, &result.tv_sec))
        result.tv_sec = span->tv_sec;
    return result;
}

/* Linux writes the remaining time to *timeout, after errors, too. */
int ml_co_select(struct ml_libc_calls *calls, int count, fd_set *readable, fd_set *writable,
                 fd_set *exceptional, struct timeval *timeout)
{
    struct timespec span = {0};
    ml_time start = ml_hub_now(calls->hub);
    if (timeout != NULL)
        span = timespec_of(timeout);
    int result = ml_co_pselect(calls, count, readable, writable, exceptional,
                               timeout != NULL ? &span : NULL, NULL);
    if (timeout != NULL && (result >= 0 || errno != EINVAL))
        *timeout = rest_of(calls, span, start);
    return result;
}
