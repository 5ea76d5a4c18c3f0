/*
 * One C hook per Lua thread. The runtime has several reasons to look at code that computes. Each is
 * a bit, and the hook that a script (debug.sethook) or a C library has set is chained behind them.
 * Knows no meaning of a reason: its owner installs a kind.
 *
 * A reason is in force on one thread (ml_hooks_arm()), or on every thread that has the hook
 * (ml_hooks_share()). Lua does not tell how much of a count has passed, and begins anew whenever a
 * hook is set. So a script's count N runs in pieces of min(N, ML_HOOK_PIECE) instructions, and
 * loses no more than a piece when a reason comes or goes.
 */
#ifndef ML_BINDINGS_CORE_HOOKS_H
#define ML_BINDINGS_CORE_HOOKS_H

#include "bindings/core/hook_records.h"

/* Installs the kind of a reason; it stays the caller's. */
void ml_hooks_install(struct ml_lua *lua, enum ml_hook_reason reason,
                      const struct ml_hook_kind *kind);

/* From now on the reason is in force on L. Returns the record of L; NULL: no memory, nothing done.
 */
struct ml_hooked *ml_hooks_arm(lua_State *L, enum ml_hook_reason reason);

/* The reason is not in force on L any more. */
void ml_hooks_disarm(lua_State *L, enum ml_hook_reason reason);

/* The record of L; NULL: it has none. */
struct ml_hooked *ml_hooks_find(lua_State *L);

/* The reason is in force, or not any more, on every thread that has the hook. Signal handlers may
 * call it. */
void ml_hooks_share(struct ml_lua *lua, enum ml_hook_reason reason);
void ml_hooks_unshare(struct ml_lua *lua, enum ml_hook_reason reason);

/* The same for a reason that every thread gets when it begins or goes on. */
void ml_hooks_stand(struct ml_lua *lua, enum ml_hook_reason reason);
void ml_hooks_withdraw(struct ml_lua *lua, enum ml_hook_reason reason);

/* Calls with fewer than `least` values on the stack, registers or arguments, need not be told for
 * that reason, which has no other events; 0: all calls are. */
void ml_hooks_pass_over(struct ml_lua *lua, enum ml_hook_reason reason, int least);

/* The reason is in force on no single thread any more: for one that was armed on several. */
void ml_hooks_disarm_all(struct ml_lua *lua, enum ml_hook_reason reason);

/* Puts the hook on L for a shared reason. For signal handlers of L's own thread: allocates nothing.
 */
void ml_hooks_touch(lua_State *L, enum ml_hook_reason reason);

/* Sets or removes the hook of L as the reasons demand, chaining a hook that C code has set over it.
 */
void ml_hooks_refresh(lua_State *L);

/* To be called when L begins or goes on while a reason stands. */
void ml_hooks_attend(lua_State *L);

/* Whether L has no hook but a standing one, so that another task may use it. */
bool ml_hooks_are_plain(lua_State *L);

/* To be called when L is freed. */
void ml_hooks_forget(struct ml_lua *lua, lua_State *L);

/* Replaces debug.sethook and debug.gethook with versions that chain. Raises. */
void ml_open_hooks(lua_State *L);

#endif
