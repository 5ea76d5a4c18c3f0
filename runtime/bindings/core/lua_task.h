/*
 * A Lua task: a scheduler's task whose body is a Lua function, run on a Lua thread of its own. The
 * struct is the memory of the userdata that scripts hold as their Task.
 */
#ifndef ML_BINDINGS_CORE_LUA_TASK_H
#define ML_BINDINGS_CORE_LUA_TASK_H

#include "bindings/core/lua_runtime.h"

#define ML_TASK_TYPE "moonlet.task"

enum ml_outcome { ML_OUTCOME_NONE, ML_OUTCOME_DONE, ML_OUTCOME_FAILED, ML_OUTCOME_CANCELLED };

/* What the next run of the body is for. */
enum ml_task_run {
    ML_RUN_FUNCTION,    /* the task's own function */
    ML_RUN_CLOSING,     /* os.exit(code, true) was called on it: close its variables, done */
    ML_RUN_UNPROTECTED, /* an error reached no protected call: close its variables, failed */
    ML_RUN_OVERRUN /* it computed on in spite of its end: its variables are not closed, cancelled */
};

struct ml_lua_task {
    struct ml_task task;
    lua_State *L;         /* its thread; NULL once it has ended */
    lua_State *parked_on; /* the state of its last call that could wait: L or a coroutine's */
    struct ml_greenlet *greenlet; /* the one that runs; NULL: the task's root */
    struct ml_strand *abandoned;  /* after a restart: the next whose variables are to be closed */
    union {
        int pool_index;   /* while it runs: of its thread in the pool; 0: not of the pool */
        int result_count; /* once it is done: in user value 1, the value itself if one, else a table
                           */
    };
    enum ml_outcome outcome : 2;
    enum ml_task_run run : 2;
    bool is_named : 1;          /* by a user value */
    bool is_member : 1;         /* it begins a struct ml_member: bindings/task/group_members.h */
    bool is_quiet : 1;          /* leaves its error to a later join */
    bool thread_is_known : 1;   /* the script has seen its thread: never used for another task */
    bool is_thrown : 1;         /* what the next greenlet gets is an error */
    bool has_exits : 1;         /* functions to be called at its end: an attribute */
    bool has_reason : 1;        /* for its cancellation: an attribute */
    bool has_locals : 1;        /* an attribute */
    bool has_traceback : 1;     /* of its error: an attribute */
    bool is_over_limit : 1;     /* told that it has computed for too long: vm/budget.c */
    bool owes_cancellation : 1; /* a C library was told of it, nothing was raised since */
    uint16_t place;             /* where it was spawned: bindings/core/source_line.h */
};

/* User values of a Task; it has as many as it needs. The first keeps its thread, unless the pool
 * does, and later its results. The last is its name, if it has one; before that a member has its
 * group. */
enum { ML_TASK_THREAD = 1, ML_TASK_RESULTS = 1, ML_TASK_GROUP = 2 };

static inline int ml_task_name_value(bool is_member)
{
    return is_member ? ML_TASK_GROUP + 1 : ML_TASK_THREAD + 1;
}

static inline struct ml_lua_task *ml_lua_task_of(struct ml_task *task)
{
    return ml_container_of(task, struct ml_lua_task, task);
}

/*
 * lua_resume()s a thread whose body nobody may yield from, with the function and its arguments on
 * its stack, until it has ended; returns how. A yield of some C library is refused at the next step
 * of the code that called it.
 */
int ml_resume_to_the_end(lua_State *L);

/* Installed for ML_HOOK_YIELD. */
extern const struct ml_hook_kind ml_refused_yield;

/* The function at 2 is to be called with the Task at 1 when that ends. */
void ml_lua_task_add_exit(lua_State *L, struct ml_lua_task *task);

/* Installed as hub->hooks.body. */
void ml_lua_task_body(struct ml_task *task);

/* Installed as hub->hooks.prefetch. */
void ml_lua_task_prefetch(const struct ml_task *task);

/* The Task at `index`; raises for anything else. */
struct ml_lua_task *ml_check_task(lua_State *L, int index);

/* Pushes the Task of a live task. */
void ml_lua_push_task(lua_State *L, struct ml_lua_task *task);

/* Abandons what the running task does and goes on with its body for another purpose. */
_Noreturn void ml_lua_task_restart(struct ml_lua *lua, enum ml_task_run run);

/* Ends a task that does not run without running it again: nothing of it runs any more, neither its
 * closing variables nor the functions to be called at its end. */
void ml_lua_task_drop(struct ml_lua_task *task);

/* The same for one that cannot go on for want of memory; it has failed, is told, and the functions
 * are called. Installed as hub->hooks.starve. */
void ml_lua_task_starve(struct ml_task *task);

/* Prepares the registry. */
void ml_lua_task_open(lua_State *L);

#endif
