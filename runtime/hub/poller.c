#include "hub/poller.h"

#include <ev.h>
#include <stdlib.h>

struct ml_poller {
    struct ev_loop *loop;
    ev_timer timer; /* set anew for each poll that waits */
    ev_async notice;
    bool noticed;
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

struct ml_poller *ml_poller_open(void)
{
    struct ml_poller *poller = calloc(1, sizeof *poller);
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
    return poller;
}

void ml_poller_close(struct ml_poller *poller)
{
    if (poller == NULL)
        return;
    ev_async_stop(poller->loop, &poller->notice);
    ev_loop_destroy(poller->loop);
    free(poller);
}

struct ev_loop *ml_poller_loop(struct ml_poller *poller)
{
    return poller->loop;
}

/* libev counts timers from the time of its last poll: that must be brought up to date first. */
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

void ml_poller_notify(struct ml_poller *poller)
{
    ev_async_send(poller->loop, &poller->notice);
}
