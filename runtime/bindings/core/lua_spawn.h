/*
 * The birth of a Lua task: its userdata, its thread, its entry among the live ones. Its body
 * and its end are in bindings/core/task_body.h and bindings/core/task_end.h.
 */
#ifndef ML_BINDINGS_CORE_LUA_SPAWN_H
#define ML_BINDINGS_CORE_LUA_SPAWN_H

#include "bindings/core/lua_task.h"

struct ml_lua_spawn {
    const char *name; /* a Lua string at name_index; NULL: none */
    int name_index;
    struct ml_group *group; /* the group that it becomes a member of, at group_index; NULL: none */
    int group_index;
    bool is_daemon;
    bool is_quiet;
    bool private_stack;
    uint16_t preempt_after; /* as in struct ml_lua_task */
};

/*
 * Makes a task of the function and its arguments on top of L's stack (`count` values, the function
 * first), which are popped, and pushes its Task. 0; -ENOMEM with nothing pushed: there is no room
 * for a stack of its own. Raises when there is no memory otherwise.
 */
int ml_lua_spawn(lua_State *L, const struct ml_lua_spawn *options, int count);

/* The Task in `slot` has ended: the table of live tasks drops it. Allocates nothing. */
void ml_lua_unanchor(lua_State *L, uint32_t slot);

#endif
