#include "hub/loop/poller.h"

#include "hub/loop/backend.h"
#include "hub/loop/libev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

/* How often a host has to poll if its descriptor cannot watch the loop, because there was no
 * descriptor to find the loop's own with. */
#define DEAF_POLL_SPAN (20 * ML_MILLISECOND)

struct ml_poller {
    struct ev_loop *loop;
    ev_timer timer; /* set anew for each poll that waits */
    ev_async notice;
    ev_fork renewal; /* called when libev is about to replace its epoll */
    bool noticed;
    int descriptor;   /* an epoll of the loop's own and the alarm; -1: not asked for yet */
    bool is_deaf;     /* that one does not watch the loop's epoll, which is new */
    atomic_int alarm; /* a timerfd; other threads set it off */
    ml_time alarm_at;
    atomic_bool is_rung; /* by ml_poller_notify(): the alarm shows another time than alarm_at */
};

static void on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
}

static void on_notice(struct ev_loop *loop, ev_async *notice, int events)
{
    (void)loop, (void)events;
    struct ml_poller *poller = notice->data;
    poller->noticed = true;
}

/* libev replaces its epoll not only after a fork. When an event arrives for a descriptor that is
 * closed here and lives on elsewhere (sent to another process, say), libev's epoll would keep it
 * for ever: libev closes it, and registers all with a new one. */
static void on_renewal(struct ev_loop *loop, ev_fork *renewal, int events)
{
    (void)loop, (void)events;
    struct ml_poller *poller = renewal->data;
    poller->is_deaf = true;
}

/* Makes the alarm ring. Async-signal-safe. A time of 0 would disarm it. */
static void ring(int alarm, ml_time at)
{
    struct itimerspec when = {0};
    if (at != ML_FOREVER)
        when.it_value = (struct timespec){at / ML_SECOND, at > 0 ? at % ML_SECOND : 1};
    timerfd_settime(alarm, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Checks for libev, which ends the program when it has no descriptor for itself: an epoll, and a
 * pipe at worst to wake it. */
static bool has_descriptors(void)
{
    enum { OWN = 4 };
    int fds[OWN], count = 0;
    while (count < OWN && (fds[count] = count == 0 ? epoll_create1(EPOLL_CLOEXEC)
                                                   : fcntl(fds[0], F_DUPFD_CLOEXEC, 0)) >= 0)
        count++;
    int error = errno;
    for (int i = 0; i < count; i++)
        close(fds[i]);
    errno = error;
    return count == OWN;
}

struct ml_poller *ml_poller_open(void)
{
    int error = ml_libev_load();
    if (error != 0) {
        errno = -error;
        return NULL;
    }
    struct ml_poller *poller = has_descriptors() ? calloc(1, sizeof *poller) : NULL;
    if (poller == NULL)
        return NULL;
    poller->loop = ev_loop_new(EVFLAG_NOENV);
    if (poller->loop == NULL) {
        free(poller);
        return NULL;
    }
    ev_timer_init(&poller->timer, on_timer, 0., 0.);
    ev_async_init(&poller->notice, on_notice);
    poller->notice.data = poller;
    ev_async_start(poller->loop, &poller->notice);
    ev_fork_init(&poller->renewal, on_renewal);
    poller->renewal.data = poller;
    ev_fork_start(poller->loop, &poller->renewal);
    poller->descriptor = -1;
    poller->alarm = -1;
    return poller;
}

static void close_descriptor(struct ml_poller *poller)
{
    if (poller->alarm >= 0)
        close(poller->alarm);
    if (poller->descriptor >= 0)
        close(poller->descriptor);
    poller->alarm = poller->descriptor = -1;
}

void ml_poller_close(struct ml_poller *poller)
{
    if (poller == NULL)
        return;
    ev_async_stop(poller->loop, &poller->notice);
    ev_fork_stop(poller->loop, &poller->renewal);
    close_descriptor(poller);
    ev_loop_destroy(poller->loop);
    free(poller);
}

struct ev_loop *ml_poller_loop(struct ml_poller *poller)
{
    return poller->loop;
}

/* libev counts timers from the time of its last poll, which must be brought up to date first. */
static void set_timer(struct ml_poller *poller, ml_time span)
{
    ev_now_update(poller->loop);
    ev_timer_set(&poller->timer, ml_time_to_seconds(span), 0.);
    ev_timer_start(poller->loop, &poller->timer);
}

bool ml_poller_poll(struct ml_poller *poller, ml_time span)
{
    if (span > 0 && span != ML_FOREVER)
        set_timer(poller, span);
    ev_run(poller->loop, span > 0 ? EVRUN_ONCE : EVRUN_NOWAIT);
    ev_timer_stop(poller->loop, &poller->timer);
    bool noticed = poller->noticed;
    poller->noticed = false;
    return noticed;
}

/* libev writes to its pipe only while it polls. A host that waits on the descriptor is woken by the
 * alarm. */
void ml_poller_notify(struct ml_poller *poller)
{
    ev_async_send(poller->loop, &poller->notice);
    if (poller->alarm >= 0) {
        poller->is_rung = true;
        ring(poller->alarm, ML_NEVER_WAIT);
    }
}

/* ---- the descriptor ---- */

static bool watch(const struct ml_poller *poller, int fd)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(poller->descriptor, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* Adds the loop's epoll. Looking for it polls, so it may be replaced meanwhile. */
static bool watch_loop(struct ml_poller *poller)
{
    int backend;
    do {
        poller->is_deaf = false;
        backend = ml_backend_descriptor(poller->loop);
    } while (poller->is_deaf && backend >= 0);
    poller->is_deaf = backend < 0 || !watch(poller, backend);
    return !poller->is_deaf;
}

int ml_poller_descriptor(struct ml_poller *poller)
{
    if (poller->descriptor >= 0)
        return poller->descriptor;
    poller->descriptor = epoll_create1(EPOLL_CLOEXEC);
    poller->alarm = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    poller->alarm_at = ML_FOREVER;
    if (poller->descriptor < 0 || poller->alarm < 0 || !watch(poller, poller->alarm) ||
        !watch_loop(poller)) {
        int error = errno;
        close_descriptor(poller);
        errno = error;
    }
    return poller->descriptor;
}

bool ml_poller_has_descriptor(const struct ml_poller *poller)
{
    return poller->descriptor >= 0;
}

void ml_poller_refresh(struct ml_poller *poller)
{
    if (poller->is_deaf)
        watch_loop(poller);
}

void ml_poller_set_alarm(struct ml_poller *poller, ml_time at)
{
    if (poller->is_deaf)
        at = ml_time_earlier(at, ml_time_after(ml_clock_now(), DEAF_POLL_SPAN));
    if (at == poller->alarm_at && !poller->is_rung)
        return;
    poller->is_rung = false;
    poller->alarm_at = at;
    ring(poller->alarm, at);
}
