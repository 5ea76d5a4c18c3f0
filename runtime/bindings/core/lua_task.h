/*
 * A Lua task: a scheduler's task whose body is a Lua function, run on a Lua thread of its own. The
 * struct is the memory of the userdata that scripts hold as their Task.
 */
#ifndef ML_BINDINGS_CORE_LUA_TASK_H
#define ML_BINDINGS_CORE_LUA_TASK_H

#define ML_TASK_TYPE "moonlet.task"

#include "bindings/core/lua_runtime.h"

enum ml_outcome { ML_OUTCOME_NONE, ML_OUTCOME_DONE, ML_OUTCOME_FAILED, ML_OUTCOME_CANCELLED };

/* The purpose of the body's next run. */
enum ml_task_run {
    ML_RUN_FUNCTION,    /* the task's own function */
    ML_RUN_CLOSING,     /* os.exit(code, true) was called on it: close its variables, done */
    ML_RUN_UNPROTECTED, /* an error reached no protected call: close its variables, failed */
    ML_RUN_OVERRUN      /* it computed on although it should end: its variables are not closed,
                           cancelled */
};

enum { ML_NEVER_PREEMPTED = UINT16_MAX };

struct ml_lua_task {
    struct ml_task task;
    lua_State *L;                 /* its thread; NULL once it has ended */
    lua_State *parked_on;         /* the state of the last call in which it could wait: L or a
                                     coroutine's */
    struct ml_greenlet *greenlet; /* the one that runs; NULL: the task's root */
    struct ml_strand *abandoned;  /* after a restart: the next strand whose variables are to be
                                     closed */
    union {
        int pool_index;   /* while it runs: of its thread in the pool; 0: not of the pool */
        int result_count; /* once it is done: how many are in user value 1; one is there itself,
                             several in a table */
    };
    enum ml_outcome outcome : 2;
    enum ml_task_run run : 2;
    bool is_named : 1;          /* it has a name: a user value */
    bool is_member : 1;         /* it begins a struct ml_member: bindings/task/group_members.h */
    bool is_quiet : 1;          /* a later join gets its error */
    bool thread_is_known : 1;   /* the script has seen its thread: never used for another task */
    bool is_known : 1;          /* a script may hold the Task */
    bool is_thrown : 1;         /* the next greenlet gets an error */
    bool has_exits : 1;         /* functions to be called at its end: an attribute */
    bool has_reason : 1;        /* for its cancellation: an attribute */
    bool has_locals : 1;        /* an attribute */
    bool has_traceback : 1;     /* of its error: an attribute */
    bool is_over_limit : 1;     /* it was told that it has computed for too long: vm/budget.c */
    bool owes_cancellation : 1; /* a C library got the cancellation, nothing was raised since */
    uint16_t source_line;       /* where it was spawned: bindings/core/source_line.h */
    uint16_t preempt_after;     /* milliseconds; 0: the runtime's; ML_NEVER_PREEMPTED */
};

/* User values of a Task; it has as many as it needs. The first keeps its thread alive, unless the
 * pool does, and later its results. The last is its name, if it has one; before that, a member has
 * its group. */
enum { ML_TASK_THREAD = 1, ML_TASK_RESULTS = 1, ML_TASK_GROUP = 2 };

static inline int ml_task_name_value(bool is_member)
{
    return is_member ? ML_TASK_GROUP + 1 : ML_TASK_THREAD + 1;
}

static inline struct ml_lua_task *ml_lua_task_of(struct ml_task *task)
{
    return ml_container_of(task, struct ml_lua_task, task);
}

/* The Task at `index`; raises for anything else. */
struct ml_lua_task *ml_check_task(lua_State *L, int index);

/* Whether the script has left a trace on the task, or may find it again: then it runs nothing else
 * after the script's function. */
static inline bool ml_lua_task_is_marked(const struct ml_lua_task *task)
{
    return task->is_known || task->thread_is_known || task->has_exits || task->has_locals;
}

/* Pushes the Task of a live task. */
void ml_lua_push_task(lua_State *L, struct ml_lua_task *task);

/* Each pushes one value; none allocates. */
void ml_lua_push_tasks(lua_State *L);     /* a table: slot + 1 -> Task */
void ml_lua_push_task_type(lua_State *L); /* the metatable of Tasks */

/* Makes these two. Raises. */
void ml_lua_tasks_open(lua_State *L);

#endif
