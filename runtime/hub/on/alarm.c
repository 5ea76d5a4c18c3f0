#include "hub/on/alarm.h"

#include "base/check.h"
#include "hub/loop/libev.h"
#include "hub/loop/poller.h"

#include <stddef.h>
#include <stdlib.h>

struct ml_alarm {
    ev_timer timer;
    struct ev_loop *loop;
    ml_alarm_callback *callback;
    void *data;
};

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct ml_alarm *alarm = ml_container_of(timer, struct ml_alarm, timer);
    alarm->callback(alarm->data);
}

struct ml_alarm *ml_alarm_open(struct ml_hub *hub, ml_alarm_callback *callback, void *data)
{
    struct ml_alarm *alarm = malloc(sizeof *alarm);
    if (alarm == NULL)
        return NULL;
    *alarm =
        (struct ml_alarm){.loop = ml_poller_loop(hub->poller), .callback = callback, .data = data};
    ev_timer_init(&alarm->timer, on_time, 0., 0.);
    return alarm;
}

/* libev counts from the time of its last poll, which must be brought up to date first. */
void ml_alarm_start(struct ml_alarm *alarm, ml_time span)
{
    double seconds = ml_time_to_seconds(span);
    if (ev_is_active(&alarm->timer))
        return;
    ev_now_update(alarm->loop);
    ev_timer_set(&alarm->timer, seconds, seconds);
    ev_timer_start(alarm->loop, &alarm->timer);
}

void ml_alarm_stop(struct ml_alarm *alarm)
{
    ev_timer_stop(alarm->loop, &alarm->timer);
}

void ml_alarm_close(struct ml_alarm *alarm)
{
    if (alarm == NULL)
        return;
    ml_alarm_stop(alarm);
    free(alarm);
}
