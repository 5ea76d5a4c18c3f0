/* The limit of instructions (options.instruction_limit). */
#ifndef ML_VM_BUDGET_H
#define ML_VM_BUDGET_H

#include <lua.h>

/* Replaces functions of the library by which scripts could evade options.instruction_limit. Raises.
 */
void ml_budget_open(lua_State *L);

/* Installed as lua.watch_thread under options.instruction_limit. */
void ml_budget_watch(lua_State *L, lua_State *thread);

#endif
