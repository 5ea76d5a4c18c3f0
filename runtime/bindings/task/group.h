/*
 * Groups of tasks, which end together. Their methods are documented where they are defined; a task
 * knows its group by bindings/task/group_members.h.
 */
#ifndef ML_BINDINGS_TASK_GROUP_H
#define ML_BINDINGS_TASK_GROUP_H

#include <lua.h>

/* Registers the type of groups; stack unchanged. */
void ml_open_group_type(lua_State *L);

/* task.group, see there. */
int ml_task_group(lua_State *L);

#endif
