#include "bindings/inspect/profile_waiting.h"

#include "hub/state/hub.h"
#include "system/signal/profile_timer.h"

#include <stdio.h>
#include <time.h>

/* Places of the table of tasks that are tried for each task that is sampled. */
enum { TRIES = 16 };

static ml_time coarse_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (ml_time)now.tv_sec * ML_SECOND + now.tv_nsec;
}

void ml_profile_waiting_init(struct ml_profile_waiting *waiting, struct ml_lua *lua,
                             struct ml_profile_stack *stack, ml_time period, lua_State *scratch)
{
    *waiting = (struct ml_profile_waiting){.lua = lua,
                                           .stack = stack,
                                           .scratch = scratch,
                                           .period = period,
                                           .looked_at = coarse_now(),
                                           .wall_at = ml_clock_now(),
                                           .cpu_at = ml_profile_thread_time(),
                                           .random = 88172645463325252u};
}

static uint32_t random_below(struct ml_profile_waiting *waiting, uint32_t limit)
{
    waiting->random ^= waiting->random << 13;
    waiting->random ^= waiting->random >> 7;
    waiting->random ^= waiting->random << 17;
    return (uint32_t)((waiting->random >> 32) * limit >> 32);
}

/* What it does instead of running. One that is about to go on has waited until now. */
static void add_reason(struct ml_profile_stack *stack, const struct ml_task *task)
{
    char text[ML_PROFILE_NAME];
    bool has_waited = task->state == ML_TASK_WAITING || task->state == ML_TASK_RUNNING;
    if (has_waited && task->waits_for != NULL)
        snprintf(text, sizeof text, "(waits for %s)", task->waits_for->text);
    else
        snprintf(text, sizeof text, "(ready)");
    ml_profile_stack_mark(stack, ML_PROFILE_MARK, text);
}

static void sample_task(struct ml_profile_waiting *waiting, struct ml_task *task, ml_time time)
{
    struct ml_profile_stack *stack = waiting->stack;
    struct ml_lua_task *lua_task = ml_lua_task_of(task);
    stack->depth = 0;
    add_reason(stack, task);
    if (task->state != ML_TASK_NEW)
        ml_profile_stack_walk(
            stack, lua_task,
            lua_task->parked_on != NULL ? lua_task->parked_on : ml_thread_of(task->strand), 0);
    if (waiting->scratch != NULL)
        ml_profile_stack_task(stack, lua_task, waiting->scratch);
    uint32_t samples = (uint32_t)((time + waiting->period / 2) / waiting->period);
    ml_profile_store_add(stack->store, stack->frames, stack->depth, samples, time);
}

static void sample_all(struct ml_profile_waiting *waiting, const struct ml_task *except,
                       ml_time time)
{
    struct ml_task *task;
    for (uint32_t slot = 0; (task = ml_hub_next_task(&waiting->lua->hub, &slot)) != NULL;)
        if (task != except)
            sample_task(waiting, task, time);
}

/* A task chosen by chance, each with the same chance; NULL: none was found soon. */
static struct ml_task *choose(struct ml_profile_waiting *waiting, const struct ml_task *except)
{
    const struct ml_slots *slots = &waiting->lua->hub.slots;
    struct ml_task *task = NULL;
    for (int i = 0; i < TRIES && task == NULL; i++) {
        task = ml_slots_task(slots, random_below(waiting, slots->count));
        task = task != except ? task : NULL;
    }
    return task;
}

/* Those that are found share the time of all. */
static void sample_some(struct ml_profile_waiting *waiting, const struct ml_task *except,
                        ml_time time, uint32_t alive)
{
    struct ml_task *chosen[ML_PROFILE_SAMPLED], *task;
    uint32_t count = 0;
    for (int i = 0; i < ML_PROFILE_SAMPLED; i++)
        if ((task = choose(waiting, except)) != NULL)
            chosen[count++] = task;
    for (uint32_t i = 0; i < count; i++)
        sample_task(waiting, chosen[i], time * alive / count);
}

void ml_profile_waiting_sample(struct ml_profile_waiting *waiting, const struct ml_task *except,
                               ml_time time)
{
    const struct ml_hub *hub = &waiting->lua->hub;
    uint32_t alive = (uint32_t)hub->tasks.alive - (except != NULL);
    bool is_few =
        hub->slots.count <= (uint32_t)ML_PROFILE_SAMPLED * TRIES && alive <= ML_PROFILE_SAMPLED;
    if (time <= 0 || alive == 0)
        return;
    if (is_few)
        sample_all(waiting, except, time);
    else
        sample_some(waiting, except, time, alive);
}

void ml_profile_waiting_look(struct ml_profile_waiting *waiting)
{
    ml_time now = coarse_now();
    if (now - waiting->looked_at < waiting->period)
        return;
    waiting->looked_at = now;
    ml_time wall = ml_clock_now(), cpu = ml_profile_thread_time();
    ml_time idle = wall - waiting->wall_at - (cpu - waiting->cpu_at);
    if (idle < waiting->period)
        return;
    waiting->wall_at = wall;
    waiting->cpu_at = cpu;
    ml_profile_waiting_sample(waiting, NULL, idle);
}
