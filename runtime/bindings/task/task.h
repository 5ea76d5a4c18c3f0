/* The module moonlet.task. */
#ifndef ML_BINDINGS_TASK_TASK_H
#define ML_BINDINGS_TASK_TASK_H

#include <lua.h>

/* moonlet.task.core */
int ml_open_task(lua_State *L);

/* Creates the metatable of Tasks, which the program needs before any script asks for moonlet.task.
 */
void ml_open_task_type(lua_State *L);

#endif
