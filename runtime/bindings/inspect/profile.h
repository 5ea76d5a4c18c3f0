/*
 * The profiler of a runtime: where its tasks spend time. Every tick of the thread's CPU clock
 * (system/signal/profile_timer.h) is added to the stack that runs. A wall profile also adds what
 * the others wait for. Knows no format of profiles.
 *
 * The signal handler only counts the tick and arms the hook of the running code. The hook takes the
 * stack, at the next instruction, call or return; or an observer does when the task lets others run
 * before that.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_H
#define ML_BINDINGS_INSPECT_PROFILE_H

#include "bindings/core/lua_runtime.h"
#include "bindings/inspect/profile_store.h"

enum { ML_PROFILE_HZ = 100, ML_PROFILE_MOST_HZ = 1000 };

struct ml_profile_options {
    unsigned hz;    /* 1 to ML_PROFILE_MOST_HZ */
    bool is_wall;   /* tasks that wait are sampled, too */
    bool by_task;   /* the outermost frame of a stack is its task */
    bool has_lines; /* a function has a frame for each line of it that ran */
};

/* The profile under way; the runtime's. */
struct ml_profile;

/* Begins a profile of the runtime of this thread. L: any thread of it, on which this may raise
 * Lua's memory error. 0; -EALREADY: one is under way; -EBUSY: SIGPROF has another handler; -ECHILD:
 * in a forked child; or another negated errno. */
int ml_profile_start(lua_State *L, const struct ml_profile_options *options);

/* Ends the ticks; the samples stay until ml_profile_discard(). Harmless when none is under way. */
void ml_profile_halt(struct ml_lua *lua);

/* Frees the samples. Harmless when there is no profile. */
void ml_profile_discard(struct ml_lua *lua);

/* What was measured so far. Valid until ml_profile_discard(). */
struct ml_profile_result {
    const struct ml_profile_store *store;
    const struct ml_profile_options *options;
    ml_time duration; /* from the start to the halt, or until now */
    uint64_t samples; /* ticks of the CPU clock */
    bool is_forked;   /* this process is a fork of the one that began it */
};

/* False: there is no profile. */
bool ml_profile_get(const struct ml_lua *lua, struct ml_profile_result *result);

#endif
