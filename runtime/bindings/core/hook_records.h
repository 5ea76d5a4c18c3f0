/*
 * The hooks and reasons in force on each Lua thread: a record for each thread that has a hook of a
 * script's, or a reason of its own. Knows neither what a reason means nor how a hook is set
 * (bindings/core/hooks.h).
 */
#ifndef ML_BINDINGS_CORE_HOOK_RECORDS_H
#define ML_BINDINGS_CORE_HOOK_RECORDS_H

#include "base/check.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ml_lua;

/* In the order in which they are served. */
enum ml_hook_reason {
    ML_HOOK_INTERRUPT, /* a signal: at the next instruction */
    ML_HOOK_COMPUTING, /* code that computes on after everything was cancelled */
    ML_HOOK_UNWINDING, /* code that computes on at the end of the program */
    ML_HOOK_LIMIT,     /* the instruction limit */
    ML_HOOK_CANCELLED, /* a C function in which a call was cancelled is to return */
    ML_HOOK_SLICE,     /* a C function that has used up its task's slice is to return */
    ML_HOOK_YIELD,     /* a stray yield of a C library is refused */
    ML_HOOK_PREEMPT,   /* the task has computed for a slice */
    ML_HOOK_DUMP,      /* the tasks are to be dumped */
    ML_HOOK_INSPECT,   /* a request from another thread is to be answered */
    ML_HOOK_PROFILE,   /* the running code is to be sampled */
    ML_HOOK_DEBUG,     /* the debugger looks at each function that begins */
    ML_HOOK_LINES,     /* ... and at each line of one that has breakpoints */
    ML_HOOK_RETURNS,   /* ... and at the end of a call below such a function */
    ML_HOOK_REASONS
};

/* The most instructions between two looks at a count. */
enum { ML_HOOK_PIECE = 1000 };

struct ml_hook_kind {
    int events; /* LUA_MASK... */
    int count;  /* with LUA_MASKCOUNT: the most instructions between two looks */
    /* Called at these events, and at a count possibly more often. May raise, and may park the task.
     */
    void (*on_event)(lua_State *L, lua_Debug *event);
    /* Called when up to ML_HOOK_PIECE instructions of the running task were not counted. NULL: does
     * not matter. Does not raise. */
    void (*on_restart)(struct ml_lua *lua);
    /* Called when a script has restarted counts by a call on L, which it could do for ever. NULL:
     * does not matter. May raise. */
    void (*check)(lua_State *L);
};

/* Identifies a running call; only compared. */
struct ml_lua_call {
    const void *frame;
    const void *function;
};

/* The record of one thread. */
struct ml_hooked {
    struct ml_hooked *next;
    lua_State *L;
    lua_Hook outer; /* of a script or a C library; NULL: none */
    int outer_events;
    int outer_count;
    long outer_left;                    /* instructions until its next count event */
    unsigned reasons;                   /* bits 1 << enum ml_hook_reason */
    struct ml_lua_call cancelled, slow; /* for the owner of the reason of that name */
    /* For the owner of ML_HOOK_RETURNS: events in a row without a use; calls, only compared. */
    unsigned calm;
    const void *leaf, *lined;
};

enum { ML_HOOK_BUCKETS = 256 };

struct ml_hooks {
    const struct ml_hook_kind *kinds[ML_HOOK_REASONS];
    atomic_uint shared;  /* reasons in force on every thread that has the hook */
    unsigned standing;   /* those of them that every thread gets when it begins or goes on */
    int standing_events; /* their events */
    /* While this is the only reason (its bit) in force, and no thread has a record, calls with
     * fewer than `least` values on the stack are passed over: see ml_hooks_pass_over(). */
    unsigned passing;
    int least;
    /* Called at the end of ml_hooks_attend(). May run on the hub's stack. Does not raise. NULL:
     * nothing. */
    void (*attended)(struct ml_lua *lua, lua_State *L);
    unsigned count;      /* threads with a record */
    lua_Hook of_scripts; /* the C hook with which debug.sethook calls a script's function */
    /* A hook of C code that a signal handler, which may not allocate, has replaced with ours. */
    struct {
        lua_State *L;
        lua_Hook hook;
        int events, count;
    } displaced;
    struct ml_hooked *buckets[ML_HOOK_BUCKETS];
};

static inline bool ml_hooks_are_standing(const struct ml_hooks *hooks)
{
    return ml_unlikely(hooks->standing != 0);
}

/* The record of L; NULL: it has none. */
struct ml_hooked *ml_hook_record_find(struct ml_hooks *hooks, const lua_State *L);

/* The record of L, made if there is none. NULL: no memory. */
struct ml_hooked *ml_hook_record_obtain(struct ml_hooks *hooks, lua_State *L);

/* Frees the record of L, if there is one. */
void ml_hook_record_drop(struct ml_hooks *hooks, const lua_State *L);

/* The record behind `hooked`, NULL for the first; NULL: there are no more. */
struct ml_hooked *ml_hook_record_next(struct ml_hooks *hooks, const struct ml_hooked *hooked);

/* Frees all. */
void ml_hook_records_release(struct ml_hooks *hooks);

#endif
