/*
 * A task that computes is made to let others run, between two of its Lua instructions: a switch and
 * nothing else, which raises nothing and delivers no cancellation. Knows no reason for it
 * (vm/preempt.c does), but where it is not allowed.
 */
#ifndef ML_BINDINGS_CORE_PREEMPTING_H
#define ML_BINDINGS_CORE_PREEMPTING_H

#include <lua.h>
#include <stdbool.h>

struct ml_hub;

/*
 * Called in a hook: others run before this returns, by `pass` (ml_pass() or ml_give_way()). False:
 * not here, nothing was done:
 *
 * - the code that runs is moonlet's own, which relies on it that no other task runs where it does
 *   not wait. (Functions of the script that it calls do not count: they could wait themselves);
 * - a wait would be refused: no task runs, in a finalizer, inside task.no_switch, while the end of
 *   a task is told, in a callback of C code on another stack or another Lua thread;
 * - the task holds a lock of a C library, or is in code of one that runs once.
 */
bool ml_preempt(lua_State *L, lua_Debug *event, void (*pass)(struct ml_hub *hub));

#endif
