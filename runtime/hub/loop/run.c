#include "hub/loop/run.h"

#include "base/check.h"
#include "hub/loop/poll_once.h"
#include "hub/loop/poller.h"
#include "hub/loop/simulation.h"
#include "hub/state/deadlines.h"
#include "hub/state/ready.h"
#include "hub/switch/pace.h"
#include "hub/switch/switch.h"

#include <errno.h>

/* There was no memory to put `next` in place: the hub's owner frees some, or ends the task. */
static __attribute__((noinline)) void starve(struct ml_hub *hub, struct ml_task *next)
{
    if (hub->hooks.collect != NULL && hub->hooks.collect(hub) && ml_hub_enter(hub, next))
        return;
    if (next->state == ML_TASK_RUNNING)
        next->state = ML_TASK_READY;
    ml_ready_push(hub, next);
    if (hub->hooks.starve != NULL)
        hub->hooks.starve(next);
    else
        ml_look_until(hub, ml_time_after(ml_hub_now(hub), 10 * ML_MILLISECOND));
}

/* Switches to `next` until a switch back to the hub. */
static void enter(struct ml_hub *hub, struct ml_task *next)
{
    if (ml_unlikely(!ml_hub_enter(hub, next)))
        starve(hub, next);
}

static bool somebody_can_run(const struct ml_hub *hub)
{
    return hub->switcher.handoff != NULL || !ml_list_is_empty(&hub->ready.queue);
}

/*
 * When many tasks have ended, and more than are alive, an idle while is the time to collect
 * garbage: in a program that only waits from now on, nothing else would trigger a collection.
 */
#define QUIET (50 * ML_MILLISECOND)

static bool has_garbage(const struct ml_hub *hub)
{
    enum { ENDED_LEAST = 256 };
    return ml_unlikely(hub->tasks.ended >= ENDED_LEAST) && hub->tasks.ended > hub->tasks.alive &&
           hub->hooks.collect != NULL && hub->clock.virtual_now == 0;
}

/* No task can run: waits for an event. */
static void wait_for_news(struct ml_hub *hub, ml_time deadline)
{
    ml_time quiet_until = has_garbage(hub) ? ml_time_after(ml_clock_now(), QUIET) : ML_FOREVER;
    ml_look_until(hub, ml_time_earlier(deadline, quiet_until));
    if (hub->pace.polled_at >= quiet_until && !somebody_can_run(hub) && hub->hooks.collect(hub))
        ml_tasks_forget_ended(hub);
}

/* Polls when it is due, or when no task can run. 0, or -EDEADLK. */
static int look_around(struct ml_hub *hub, ml_time deadline)
{
    ml_host_clock_look(hub);
    bool is_idle = !somebody_can_run(hub);
    bool is_observed =
        (hub->clock.virtual_now != 0 && !hub->clock.is_host) || !ml_list_is_empty(&hub->idle.tasks);
    if (is_idle && is_observed && ml_simulation_step(hub))
        return 0;
    bool is_noticed = ml_hub_wants_attention(hub) && !hub->life.is_forked;
    if (is_idle && hub->waits.external == 0 && !is_noticed) /* a notice may wake a task */
        return -EDEADLK;
    if (is_noticed)
        ml_look_until(hub, ML_NEVER_WAIT);
    else if (is_idle && !hub->life.is_forked)
        wait_for_news(hub, deadline);
    return 0;
}

/* 0: go on; 1: the goal is reached; or the reason to stop before. */
static int verdict(const struct ml_hub *hub, enum ml_hub_goal goal, ml_time deadline)
{
    if (hub->life.is_forked && hub->switcher.handoff == NULL)
        return -ECHILD;
    if (hub->run.stop)
        return -EINTR;
    if ((goal == ML_UNTIL_FOREGROUND_ENDED ? hub->tasks.foreground : hub->tasks.alive) == 0)
        return 1;
    return deadline != ML_FOREVER && ml_hub_now(hub) >= deadline ? -ETIMEDOUT : 0;
}

/* Makes the hub this thread's. Returns what ml_bank_current was, to be put back. */
static struct ml_bank *take_thread(struct ml_hub *hub)
{
    struct ml_bank *outer = ml_bank_current;
    hub->bank.origin_base = NULL; /* the caller's stack may be another than last time */
    ML_CHECK(hub->current == NULL);
    ml_bank_current = &hub->bank;
    hub->run.thread_errno = &errno;
    return outer;
}

/* Runs tasks that can run, with polls in between when one is due. */
static int run_ready(struct ml_hub *hub)
{
    while (!hub->run.stop && somebody_can_run(hub) && ml_clock_now() < hub->pace.return_at) {
        enter(hub, ml_hub_take_next(hub));
        if (hub->life.is_forked && hub->switcher.handoff == NULL)
            return -ECHILD;
        if (ml_hub_wants_attention(hub) && !hub->life.is_forked)
            ml_look_until(hub, ML_NEVER_WAIT);
    }
    return hub->run.stop ? -EINTR : hub->tasks.foreground > 0;
}

/* Updates what the descriptor reports. `has_run`: there may be watchers that the kernel does not
 * know of yet. */
static void refresh(struct ml_hub *hub, bool has_run)
{
    if (!ml_poller_has_descriptor(hub->poller) || hub->life.is_forked)
        return;
    if (has_run)
        ml_look_until(hub, ML_NEVER_WAIT);
    ml_poller_refresh(hub->poller);
    ml_poller_set_alarm(hub->poller,
                        somebody_can_run(hub) ? ML_NEVER_WAIT : ml_deadlines_nearest(hub));
}

int ml_hub_step(struct ml_hub *hub, ml_time max_wait, ml_time max_run)
{
    struct ml_bank *outer = take_thread(hub);
    bool waits = !somebody_can_run(hub) && max_wait > 0;
    ml_look_until(hub, waits ? ml_time_after(ml_hub_now(hub), max_wait) : ML_NEVER_WAIT);
    ml_pace_set_return(hub, ml_time_after(ml_clock_now(), max_run));
    bool has_run = somebody_can_run(hub);
    int result = run_ready(hub);
    ml_pace_set_return(hub, ML_FOREVER);
    hub->run.stop = false; /* a stop during the poll below is for the next step */
    refresh(hub, has_run);
    ml_bank_current = outer;
    return result;
}

int ml_hub_descriptor(struct ml_hub *hub)
{
    int fd = ml_poller_descriptor(hub->poller);
    if (fd >= 0)
        ml_hub_refresh(hub);
    return fd;
}

void ml_hub_refresh(struct ml_hub *hub)
{
    refresh(hub, true);
}

int ml_hub_run(struct ml_hub *hub, enum ml_hub_goal goal, ml_time deadline)
{
    struct ml_bank *outer = take_thread(hub);
    int result = verdict(hub, goal, deadline);
    while (result == 0) {
        result = look_around(hub, deadline);
        struct ml_task *next = result == 0 ? ml_hub_take_next(hub) : NULL;
        if (next != NULL)
            enter(hub, next);
        if (result == 0)
            result = verdict(hub, goal, deadline);
    }
    hub->run.stop = false;
    ml_bank_current = outer;
    return result == 1 ? 0 : result;
}

void ml_hub_notify(struct ml_hub *hub)
{
    hub->attention = true;
    if (!hub->life.is_forked) /* its descriptors are the parent's, too */
        ml_poller_notify(hub->poller);
}
