/*
 * What the debugger wants of single tasks: a record for each that is stopped, is to stop, or steps.
 * Knows neither hooks nor breakpoints.
 */
#ifndef ML_BINDINGS_INSPECT_FLOWS_H
#define ML_BINDINGS_INSPECT_FLOWS_H

#include "bindings/core/lua_task.h"

enum ml_aim {
    ML_AIM_NONE,
    ML_AIM_PAUSE, /* stops at the next line */
    ML_AIM_IN,    /* ... that is not of moonlet's own modules */
    ML_AIM_OVER,  /* stops at the next line of the call `frame` */
    ML_AIM_OUT    /* waits for the end of the call `frame` */
};

struct ml_flow {
    struct ml_flow *next;
    struct ml_lua_task *task;
    enum ml_aim aim;
    lua_State *L;      /* the thread of `frame`; only compared. NULL: it has been left */
    const void *frame; /* a call, only compared */
    lua_State *stopped_on;
    uint64_t stop;    /* the number of the stop under way; 0: it is not stopped */
    bool is_released; /* it is to go on */
    bool is_own;      /* works for the debugger: never stops */
};

enum { ML_FLOW_BUCKETS = 64 };

struct ml_flows {
    struct ml_flow *buckets[ML_FLOW_BUCKETS];
    unsigned count;
    unsigned steps; /* those with an aim */
};

/* NULL: there is none. */
struct ml_flow *ml_flow_search(struct ml_flows *flows, const struct ml_task *task);

static inline struct ml_flow *ml_flow_find(struct ml_flows *flows, const struct ml_task *task)
{
    return ml_likely(flows->count == 0) || task == NULL ? NULL : ml_flow_search(flows, task);
}

/* That of the task, made if there is none. NULL: no memory. */
struct ml_flow *ml_flow_obtain(struct ml_flows *flows, struct ml_task *task);

/* Harmless if there is none. */
void ml_flow_drop(struct ml_flows *flows, const struct ml_task *task);
void ml_flows_release(struct ml_flows *flows);

void ml_flow_aim(struct ml_flows *flows, struct ml_flow *flow, enum ml_aim aim);

/* Ends all steps and pauses. */
void ml_flows_rest(struct ml_flows *flows);

/* The flow behind `flow`, the first for NULL; NULL: there are no more. */
struct ml_flow *ml_flow_next(struct ml_flows *flows, const struct ml_flow *flow);

/*
 * A call on L has ended, or with `is_c` one of a C function; `caller` goes on now, NULL: none on
 * this thread. If that was the call that the flow was in, or if the flow has left that by an error
 * or a yield, it is in `caller` now.
 */
void ml_flow_follow(struct ml_flow *flow, lua_State *L, const lua_Debug *ended, bool is_c,
                    lua_Debug *caller);

#endif
