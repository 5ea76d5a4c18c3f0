/*
 * One C hook per Lua thread. The runtime has several reasons to look at code that computes; each is
 * a bit, and the hook that a script (debug.sethook) or a C library has set is chained behind them.
 * Knows no meaning of a reason: its owner installs a kind.
 *
 * A reason is in force on one thread (ml_hooks_arm()), or on every thread that has the hook
 * (ml_hooks_share()). Lua does not say how much of a count has passed, and begins anew whenever a
 * hook is set: so a script's count N runs in pieces of min(N, ML_HOOK_PIECE) instructions, and
 * loses no more than a piece when a reason comes or goes.
 */
#ifndef ML_BINDINGS_CORE_HOOKS_H
#define ML_BINDINGS_CORE_HOOKS_H

#include "base/check.h"

#include <lua.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ml_lua;

/* In the order in which they are asked. */
enum ml_hook_reason {
    ML_HOOK_INTERRUPT, /* a signal: at the next step */
    ML_HOOK_COMPUTING, /* code that computes on after everything was cancelled */
    ML_HOOK_UNWINDING, /* code that computes on at the end of the program */
    ML_HOOK_LIMIT,     /* the instruction limit */
    ML_HOOK_CANCELLED, /* a C function in which a call was cancelled is to return */
    ML_HOOK_SLICE,     /* a C function that has used up its task's slice is to return */
    ML_HOOK_YIELD,     /* a stray yield of a C library is refused */
    ML_HOOK_REASONS
};

/* Instructions after which a count is looked at, at the latest. */
enum { ML_HOOK_PIECE = 1000 };

struct ml_hook_kind {
    int events; /* LUA_MASK... */
    int count;  /* with LUA_MASKCOUNT: instructions between two looks, at most */
    /* Called at these events, and at a count possibly more often. May raise, and may park the task.
     */
    void (*on_event)(lua_State *L, lua_Debug *event);
    /* Up to ML_HOOK_PIECE instructions of the running task were not counted. NULL: does not matter.
     * Does not raise. */
    void (*on_restart)(struct ml_lua *lua);
    /* A script has restarted counts by a call on L, and could do so for ever. NULL: does not
     * matter. May raise. */
    void (*check)(lua_State *L);
};

/* A call that is running, to be known again: only compared. */
struct ml_lua_call {
    const void *frame;
    const void *function;
};

/* What is in force on one thread. */
struct ml_hooked {
    struct ml_hooked *next;
    lua_State *L;
    lua_Hook outer; /* of a script or a C library; NULL: none */
    int outer_events;
    int outer_count;
    long outer_left;                    /* instructions until its next count event */
    unsigned reasons;                   /* bits 1 << enum ml_hook_reason */
    struct ml_lua_call cancelled, slow; /* for the owner of the reason of that name */
};

enum { ML_HOOK_BUCKETS = 256 };

struct ml_hooks {
    const struct ml_hook_kind *kinds[ML_HOOK_REASONS];
    atomic_uint shared;  /* reasons in force on every thread that has the hook */
    unsigned standing;   /* those of them that every thread gets when it begins or goes on */
    unsigned count;      /* threads with a record */
    lua_Hook of_scripts; /* the C hook with which debug.sethook calls a script's function */
    /* A hook of C code over which a signal handler, which may not allocate, has put ours. */
    struct {
        lua_State *L;
        lua_Hook hook;
        int events, count;
    } displaced;
    struct ml_hooked *buckets[ML_HOOK_BUCKETS];
};

/* Installs the kind of a reason, which stays its owner's. */
void ml_hooks_install(struct ml_lua *lua, enum ml_hook_reason reason,
                      const struct ml_hook_kind *kind);

/* Frees the records. After lua_close(). */
void ml_hooks_release(struct ml_lua *lua);

/* From now on the reason is in force on L. Returns the record of L; NULL: no memory, nothing done.
 */
struct ml_hooked *ml_hooks_arm(lua_State *L, enum ml_hook_reason reason);

/* The reason is no more in force on L. */
void ml_hooks_disarm(lua_State *L, enum ml_hook_reason reason);

/* The record of L; NULL: it has none. */
struct ml_hooked *ml_hooks_find(lua_State *L);

/* The reason is in force, or no more, on every thread that has the hook. Signal handlers may call
 * it. */
void ml_hooks_share(struct ml_lua *lua, enum ml_hook_reason reason);
void ml_hooks_unshare(struct ml_lua *lua, enum ml_hook_reason reason);

/* The same for a reason that every thread is to have when it begins or goes on. */
void ml_hooks_stand(struct ml_lua *lua, enum ml_hook_reason reason);
void ml_hooks_withdraw(struct ml_lua *lua, enum ml_hook_reason reason);

/* Puts the hook on L for a shared reason. For signal handlers of L's own thread: allocates nothing.
 */
void ml_hooks_touch(lua_State *L, enum ml_hook_reason reason);

/* Sets or removes the hook of L as the reasons demand, chaining a hook that C code has set over it.
 */
void ml_hooks_refresh(lua_State *L);

/* L begins or goes on while a reason stands. */
void ml_hooks_attend(lua_State *L);

static inline bool ml_hooks_are_standing(const struct ml_hooks *hooks)
{
    return ml_unlikely(hooks->standing != 0);
}

/* Whether no hook but a standing one is on L, so that it may serve somebody else. */
bool ml_hooks_are_plain(lua_State *L);

/* L is freed. */
void ml_hooks_forget(struct ml_lua *lua, lua_State *L);

/* Replaces debug.sethook and debug.gethook by versions that chain. Raises. */
void ml_open_hooks(lua_State *L);

#endif
