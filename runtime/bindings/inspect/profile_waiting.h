/*
 * The waiting tasks of a wall profile: a few of them, chosen by chance, stand for all. Knows
 * nothing of the tasks that run.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_WAITING_H
#define ML_BINDINGS_INSPECT_PROFILE_WAITING_H

#include "bindings/inspect/profile_stack.h"

/* The most tasks whose stacks are taken in one sample. */
enum { ML_PROFILE_SAMPLED = 16 };

struct ml_profile_waiting {
    struct ml_lua *lua;
    struct ml_profile_stack *stack; /* is overwritten */
    lua_State *scratch;             /* NULL: the tasks themselves are no frames */
    ml_time period;
    ml_time looked_at;       /* by the clock that costs no system call */
    ml_time wall_at, cpu_at; /* up to here idle time was accounted */
    uint64_t random;
};

void ml_profile_waiting_init(struct ml_profile_waiting *waiting, struct ml_lua *lua,
                             struct ml_profile_stack *stack, ml_time period, lua_State *scratch);

/* Adds `time` to every live task but one. */
void ml_profile_waiting_sample(struct ml_profile_waiting *waiting, const struct ml_task *except,
                               ml_time time);

/* Adds the time in which the thread has not computed since the last look to all tasks, if it is a
 * period or more. To be called when a task is about to go on; `except`: one that runs already,
 * NULL: none. */
void ml_profile_waiting_look(struct ml_profile_waiting *waiting, const struct ml_task *except);

#endif
