/*
 * What the tests of the hub room share: a hub whose tasks run plain C functions, without Lua.
 */
#ifndef ML_TESTS_HUB_FIXTURE_H
#define ML_TESTS_HUB_FIXTURE_H

#include "base/pool.h"
#include "hub/loop/life.h"
#include "hub/loop/run.h"
#include "hub/state/hub.h"
#include "hub/switch/switch.h"

#include <stdlib.h>
#include <string.h>

/* A task with its program. */
struct c_task {
    struct ml_task task;
    struct ml_strand body;
    void (*run)(struct c_task *self);
    void *data;
    int number;
    int result;
};

static inline struct c_task *c_task_of(struct ml_task *task)
{
    return (struct c_task *)task; /* its first member */
}

static inline void run_c_task(struct ml_task *task)
{
    c_task_of(task)->run(c_task_of(task));
}

/* The memory of the one hub that is open. */
static struct ml_pool pool;

static inline void open_hub(struct ml_hub *hub)
{
    ml_pool_init(&pool);
    assert_int_equal(ml_hub_init(hub, &pool, 0, 256 * 1024), 0);
    hub->hooks.body = run_c_task;
}

static inline void close_hub(struct ml_hub *hub)
{
    ml_hub_release(hub);
    ml_pool_release(&pool);
}

static inline struct ml_hub *hub_of(struct c_task *task)
{
    return task->task.hub;
}

static inline void spawn_with(struct ml_hub *hub, struct c_task *task,
                              void (*run)(struct c_task *self), void *data,
                              struct ml_spawn_options options)
{
    memset(&task->task, 0, sizeof task->task);
    memset(&task->body, 0, sizeof task->body);
    task->run = run;
    task->data = data;
    task->result = 1;
    assert_int_equal(ml_task_spawn(hub, &task->task, &task->body, options), 0);
}

static inline void spawn(struct ml_hub *hub, struct c_task *task, void (*run)(struct c_task *self),
                         void *data)
{
    spawn_with(hub, task, run, data, (struct ml_spawn_options){0});
}

/* Runs until all tasks have ended; the whole may take 30 s. */
static inline int run_all(struct ml_hub *hub)
{
    return ml_hub_run(hub, ML_UNTIL_ALL_ENDED, ml_clock_now() + 30 * ML_SECOND);
}

static inline ml_time in_ms(int milliseconds)
{
    return ml_clock_now() + milliseconds * ML_MILLISECOND;
}

/* Runs one program in one task. */
static inline void run_in_task(void (*run)(struct c_task *self), void *data)
{
    struct ml_hub hub;
    struct c_task task = {.number = 0};
    open_hub(&hub);
    spawn(&hub, &task, run, data);
    assert_int_equal(run_all(&hub), 0);
    assert_int_equal(hub.waits.external, 0);
    close_hub(&hub);
}

/* From a task: lets the others run until `other` waits. */
static inline void let_wait(struct c_task *self, const struct c_task *other)
{
    while (other->task.state != ML_TASK_WAITING)
        assert_int_equal(ml_yield(hub_of(self)), 0);
}

#endif
