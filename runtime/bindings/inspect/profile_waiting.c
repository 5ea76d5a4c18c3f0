#include "bindings/inspect/profile_waiting.h"

#include "hub/state/hub.h"
#include "system/signal/profile_timer.h"

#include <stdio.h>
#include <time.h>

/* Places of the table of tasks that are looked at: by chance, and then one after the other if fewer
 * than FEWEST tasks were found. */
enum { TRIES = 256, FEWEST = 4, MOST_PLACES = 65536 };

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
        ml_profile_stack_walk(stack, lua_task, lua_task->parked_on, 0);
    if (waiting->scratch != NULL)
        ml_profile_stack_task(stack, lua_task, waiting->scratch);
    uint32_t samples = (uint32_t)((time + waiting->period / 2) / waiting->period);
    ml_profile_store_add(stack->store, stack->frames, stack->depth, samples, time);
}

/* Tasks chosen by chance, each with the same chance, and a task possibly twice. Fewer than
 * ML_PROFILE_SAMPLED, or none: most places are free. */
static uint32_t choose(struct ml_profile_waiting *waiting, const struct ml_task *except,
                       struct ml_task **chosen)
{
    const struct ml_slots *slots = &waiting->lua->hub.slots;
    uint32_t count = 0;
    for (int i = 0; i < TRIES && count < ML_PROFILE_SAMPLED; i++) {
        struct ml_task *task = ml_slots_task(slots, random_below(waiting, slots->count));
        if (task != NULL && task != except)
            chosen[count++] = task;
    }
    return count;
}

/* The tasks in the places behind one that is chosen by chance. */
static uint32_t gather(struct ml_profile_waiting *waiting, const struct ml_task *except,
                       struct ml_task **chosen)
{
    const struct ml_slots *slots = &waiting->lua->hub.slots;
    uint32_t count = 0, slot = random_below(waiting, slots->count);
    uint32_t places = slots->count < MOST_PLACES ? slots->count : MOST_PLACES;
    for (; places > 0 && count < ML_PROFILE_SAMPLED; places--) {
        struct ml_task *task = ml_slots_task(slots, slot);
        if (task != NULL && task != except)
            chosen[count++] = task;
        slot = slot + 1 < slots->count ? slot + 1 : 0;
    }
    return count;
}

void ml_profile_waiting_sample(struct ml_profile_waiting *waiting, const struct ml_task *except,
                               ml_time time)
{
    struct ml_task *chosen[ML_PROFILE_SAMPLED];
    uint32_t alive = waiting->lua->hub.tasks.alive - (except != NULL), count = 0;
    if (time <= 0 || alive == 0)
        return;
    if (alive > ML_PROFILE_SAMPLED)
        count = choose(waiting, except, chosen);
    if (count < FEWEST)
        count = gather(waiting, except, chosen);
    for (uint32_t i = 0; i < count; i++)
        sample_task(waiting, chosen[i], time * alive / count);
}

void ml_profile_waiting_look(struct ml_profile_waiting *waiting, const struct ml_task *except)
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
    ml_profile_waiting_sample(waiting, except, idle);
}
