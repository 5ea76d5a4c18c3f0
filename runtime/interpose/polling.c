/*
 * poll, select, epoll_wait and their variants: asked once without waiting, which also finds what is
 * wrong with the arguments; then the task waits, and the kernel is asked again what happened.
 *
 * A signal mask is in force while the kernel is asked, not while the task waits: so a call with one
 * looks every so often.
 */
#include "hub/on/poll_set.h"
#include "hub/state/scope.h"
#include "interpose/libc_call.h"
#include "interpose/timespan.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind poll_kind = {.text = "descriptors, in a C library",
                                              .external = true};

/* How long a wait lasts at most when what it waits for cannot be told to the hub's loop (urgent
 * data), when the loop says ready and the kernel does not, and with a signal mask. */
#define LOOK_AGAIN (20 * ML_MILLISECOND)

#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

static ml_time deadline_of(const struct ml_libc_calls *calls, ml_time span)
{
    return ml_time_after(ml_hub_now(calls->hub), span);
}

/* A call as the loop below sees it. */
struct question {
    int (*ask)(void *call);                           /* without waiting; 0: nothing yet */
    int (*ask_plainly)(void *call);                   /* as libc does */
    void (*add)(struct ml_poll_set *set, void *call); /* the descriptors */
    int (*closed)(void *call, int fd); /* what to return when that one was closed meanwhile */
    void *call;
    unsigned count;                /* descriptors at most */
    bool (*is_urgent)(void *call); /* waits for what the loop cannot tell; NULL: never */
    bool is_known_empty;           /* the first answer is known to be 0 */
    bool is_masked;
    bool is_loop; /* of a library's own */
};

/* One wait. 0: ask; or an error of ml_poll_set_wait(); *closed: the descriptor that was, or -1. */
static int wait_once(struct ml_libc_calls *calls, const struct question *q, bool with_descriptors,
                     ml_time deadline, int *closed)
{
    struct ml_poll_set *set = ml_poll_set_open(calls->hub, q->count);
    if (set == NULL)
        return -ENOMEM;
    if (with_descriptors)
        q->add(set, q->call);
    int error = ml_poll_set_wait(set, &poll_kind, deadline);
    *closed = ml_poll_set_closed(set);
    ml_poll_set_close(set);
    return error;
}

/*
 * Loops that cannot be told of a cancellation: libuv and libev end the program when epoll_wait()
 * fails, GLib warns and polls again for ever. To them it is told when their function returns. (A
 * module may have brought its libuv along.)
 */
static bool is_deaf(struct ml_libc_call entry)
{
    static const char *const patterns[] = {"libuv.so*", "luv.so*", "libev.so*", "libglib-2.0.so*"};
    bool is = false;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns && !is; i++)
        is = ml_libc_call_is_called_from(entry, patterns[i]);
    return is;
}

/* The program ends: a loop that will not is left behind. Returns if it does not end, or the loop
 * can be told. */
static void leave_for_good(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    bool is_ending = calls->is_ending != NULL && calls->is_ending(calls->hub);
    if (ml_unlikely(is_ending && (is_deaf(entry) || ml_libc_call_is_stubborn(calls))))
        calls->leave_c(calls->hub);
}

/* Gives what holds a cancellation off until then, or NULL. */
static struct ml_scope *hold_off(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    return is_deaf(entry) ? ml_scope_open(calls->hub, ML_SCOPE_SHIELD, ML_FOREVER) : NULL;
}

/* The waits of one call. */
struct asking {
    struct ml_libc_call entry;
    bool was_woken_in_vain;
    bool is_urgent;
    bool is_held_off; /* a cancellation is, with which waits are short: the program may end
                         meanwhile */
    int closed;       /* the descriptor that was, or -1 */
};

/* One of them, with what holds off a cancellation, if anything. 0: ask; or an error that ends them.
 */
static int wait_in_turn(struct ml_libc_calls *calls, const struct question *q, struct asking *a,
                        ml_time deadline)
{
    bool is_short = a->was_woken_in_vain || q->is_masked || a->is_urgent || a->is_held_off;
    ml_time until = is_short ? ml_time_earlier(deadline, deadline_of(calls, LOOK_AGAIN)) : deadline;
    bool with_descriptors = !a->was_woken_in_vain && !(a->is_urgent && q->is_loop);
    struct ml_scope *shield = a->is_held_off ? hold_off(calls, a->entry) : NULL;
    int error = wait_once(calls, q, with_descriptors, until, &a->closed);
    if (shield != NULL)
        ml_scope_close(calls->hub, shield);
    a->was_woken_in_vain = error == 0;
    bool is_again = error == -ETIMEDOUT && until < deadline;
    if (error == -ECANCELED && is_deaf(a->entry) && shield == NULL && !a->is_held_off)
        a->is_held_off = is_again = true;
    if (is_again)
        error = 0;
    return error;
}

/* Waits until the question has an answer. Returns that, or -1 with errno set, or 0 when the time is
 * over. */
static int wait_for_answer(struct ml_libc_calls *calls, struct ml_libc_call entry,
                           const struct question *q, ml_time deadline)
{
    int answer = 0, error = ml_libc_call_begin(calls, entry);
    struct asking a = {.entry = entry, .closed = -1};
    a.is_urgent = q->is_urgent != NULL && q->is_urgent(q->call);
    if (error == ML_PLAINLY)
        return q->ask_plainly(q->call);
    while (answer == 0 && error == 0) {
        error = wait_in_turn(calls, q, &a, deadline);
        if (a.is_held_off && calls->is_ending != NULL && calls->is_ending(calls->hub))
            error = -ECANCELED;
        if (error == 0 || error == -ETIMEDOUT)
            answer = q->ask(q->call);
    }
    ml_libc_call_end(calls, a.is_held_off ? -ECANCELED : error);
    if (error == -ECANCELED)
        leave_for_good(calls, entry);
    if (error == -EBADF)
        return q->closed(q->call, a.closed);
    return error == 0 || error == -ETIMEDOUT ? answer : ml_fail(error);
}

static int answer(struct ml_libc_calls *calls, const struct question *q, ml_time span)
{
    struct ml_libc_call entry = calls->entry;
    int error = span > 0 ? ml_libc_call_share(calls) : 0;
    leave_for_good(calls, entry);
    if (error != 0 && !is_deaf(entry))
        return ml_fail(error);
    if (span <= 0)
        ml_libc_call_share_later(calls);
    int now = q->is_known_empty ? 0 : q->ask(q->call);
    return now != 0 || span <= 0 ? now : wait_for_answer(calls, entry, q, deadline_of(calls, span));
}

/* ---- poll ---- */

struct poll_call {
    struct pollfd *fds;
    nfds_t count;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static const struct timespec no_time = {0};

static int ask_poll(void *call)
{
    struct poll_call *c = call;
    return c->mask == NULL ? ml_libc.poll(c->fds, c->count, 0)
                           : ml_libc.ppoll(c->fds, c->count, &no_time, c->mask);
}

static int ask_poll_plainly(void *call)
{
    struct poll_call *c = call;
    return ml_libc.ppoll(c->fds, c->count, c->timeout, c->mask);
}

static void add_poll(struct ml_poll_set *set, void *call)
{
    const struct poll_call *c = call;
    for (nfds_t i = 0; i < c->count; i++)
        ml_poll_set_add(set, c->fds[i].fd,
                        (c->fds[i].events & ~WRITABLE) != 0 || (c->fds[i].events & WRITABLE) == 0,
                        (c->fds[i].events & WRITABLE) != 0);
}

/*
 * As if it had been bad from the start. But who waits for it alone gets an error: most callers take
 * POLLNVAL for ready, and go on with an object that has been closed together with its descriptor
 * (LuaSec crashed).
 */
static int poll_closed(void *call, int fd)
{
    struct poll_call *c = call;
    int bad = 0;
    if (c->count == 1)
        return ml_fail(-EBADF);
    for (nfds_t i = 0; i < c->count; i++) {
        c->fds[i].revents = c->fds[i].fd == fd ? POLLNVAL : 0;
        bad += c->fds[i].fd == fd;
    }
    return bad;
}

static bool has_urgent(void *call)
{
    const struct poll_call *c = call;
    nfds_t i = 0;
    while (i < c->count && (c->fds[i].events & POLLPRI) == 0)
        i++;
    return i < c->count;
}

/* Whether the task has just found out that there is nothing to read: it need not be asked again. */
static bool is_known_dry(struct ml_libc_calls *calls, const struct pollfd *fds, nfds_t count)
{
    bool is = count == 1 && fds->events == POLLIN && fds->fd == calls->dry.fd &&
              calls->dry.task == calls->hub->current->id;
    calls->dry.task = 0;
    return is;
}

int ml_co_ppoll(struct ml_libc_calls *calls, struct pollfd *fds, nfds_t count,
                const struct timespec *timeout, const sigset_t *mask)
{
    struct poll_call call = {fds, count, timeout, mask};
    struct question question = {.ask = ask_poll,
                                .ask_plainly = ask_poll_plainly,
                                .add = add_poll,
                                .closed = poll_closed,
                                .is_urgent = has_urgent,
                                .call = &call,
                                .count = (unsigned)count,
                                .is_masked = mask != NULL};
    ml_time span = ml_timespan(timeout);
    if (timeout != NULL && !ml_is_timespan(timeout))
        return ml_fail(-EINVAL);
    if (fds == NULL && count > 0)
        return ml_libc.ppoll(fds, count, &no_time, mask);
    question.is_known_empty = mask == NULL && is_known_dry(calls, fds, count) && span > 0;
    return answer(calls, &question, span);
}

int ml_co_poll(struct ml_libc_calls *calls, struct pollfd *fds, nfds_t count, int timeout)
{
    struct timespec span = {timeout / 1000, timeout % 1000 * 1000000L};
    if (timeout == 0) {
        ml_libc_call_share_later(calls);
        return ml_libc.poll(fds, count, 0);
    }
    return ml_co_ppoll(calls, fds, count, timeout < 0 ? NULL : &span, NULL);
}

/* ---- select ---- */

enum { SETS = 3 };

/* The three sets are the caller's: `asked` keeps what they asked for, as they are overwritten with
 * the answer. */
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

/* Of numbers for which the process has no place, the kernel, asked before, takes no notice
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

static int select_closed(void *call, int fd)
{
    (void)call, (void)fd;
    return ml_fail(-EBADF);
}

static void keep_asked(struct select_call *c)
{
    for (int i = 0; i < SETS; i++)
        if (c->sets[i] != NULL)
            memcpy(c->asked + (size_t)i * c->size, c->sets[i], c->size);
}

static int select_with(struct ml_libc_calls *calls, struct select_call *call)
{
    struct question question = {.ask = ask_select,
                                .ask_plainly = ask_select_plainly,
                                .add = add_select,
                                .closed = select_closed,
                                .call = call,
                                .is_masked = call->mask != NULL,
                                .is_urgent = has_exceptional};
    keep_asked(call);
    question.count = count_select(call);
    int result = answer(calls, &question, ml_timespan(call->timeout));
    if (result < 0)
        restore(call);
    return result;
}

/*
 * The kernel looks at no more of a set than the process has places for descriptors (select(2),
 * "nfds"), which is less than what getdtablesize() says: behind that there may be no set any more.
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

/* What is left of a span that began at `start`. */
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

/* More than a second of microseconds is carried over, as far as there are seconds. */
static struct timespec timespec_of(const struct timeval *span)
{
    struct timespec result = {.tv_nsec = span->tv_usec % 1000000 * 1000};
    if (__builtin_add_overflow(span->tv_sec, span->tv_usec / 1000000, &result.tv_sec))
        result.tv_sec = span->tv_sec;
    return result;
}

/* Linux puts the time that is left into *timeout, after errors, too. */
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

/* ---- epoll ---- */

struct epoll_call {
    int fd;
    struct epoll_event *events;
    int room;
    const struct timespec *timeout;
    const sigset_t *mask;
};

static int ask_epoll(void *call)
{
    struct epoll_call *c = call;
    return ml_libc.epoll_pwait(c->fd, c->events, c->room, 0, c->mask);
}

/* Rounded up; NULL: no limit. */
static int milliseconds_of(const struct timespec *span)
{
    if (span == NULL)
        return -1;
    ml_time limit = ml_timespan(span);
    ml_time whole = limit / ML_MILLISECOND + (limit % ML_MILLISECOND > 0);
    return whole < INT_MAX ? (int)whole : INT_MAX;
}

static int ask_epoll_plainly(void *call)
{
    struct epoll_call *c = call;
    return ml_libc.epoll_pwait(c->fd, c->events, c->room, milliseconds_of(c->timeout), c->mask);
}

/* Of epoll descriptors that watch each other the kernel allows for five in a row: the last of those
 * is one too many for the loop, which ends the program when it is refused. Such a one is looked at
 * every so often. */
static bool is_too_deep(void *call)
{
    struct epoll_event event = {.events = EPOLLIN};
    int saved = errno, above = epoll_create1(EPOLL_CLOEXEC);
    bool is =
        above >= 0 && epoll_ctl(above, EPOLL_CTL_ADD, ((struct epoll_call *)call)->fd, &event) != 0;
    if (above >= 0)
        ml_libc.close(above);
    errno = saved;
    return is;
}

/* An epoll descriptor is itself readable when it has an event. */
static void add_epoll(struct ml_poll_set *set, void *call)
{
    ml_poll_set_add(set, ((struct epoll_call *)call)->fd, true, false);
}

int ml_co_epoll_pwait2(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                       const struct timespec *timeout, const sigset_t *mask)
{
    struct epoll_call call = {fd, events, room, timeout, mask};
    struct question question = {.ask = ask_epoll,
                                .ask_plainly = ask_epoll_plainly,
                                .add = add_epoll,
                                .closed = select_closed,
                                .is_urgent = is_too_deep,
                                .call = &call,
                                .count = 1,
                                .is_masked = mask != NULL,
                                .is_loop = true};
    if (timeout != NULL && !ml_is_timespan(timeout))
        return ml_fail(-EINVAL);
    return answer(calls, &question, ml_timespan(timeout));
}

int ml_co_epoll_pwait(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                      int timeout, const sigset_t *mask)
{
    struct timespec span = {timeout / 1000, timeout % 1000 * 1000000L};
    return ml_co_epoll_pwait2(calls, fd, events, room, timeout < 0 ? NULL : &span, mask);
}

int ml_co_epoll_wait(struct ml_libc_calls *calls, int fd, struct epoll_event *events, int room,
                     int timeout)
{
    return ml_co_epoll_pwait(calls, fd, events, room, timeout, NULL);
}
