/* The module moonlet.inspect.tasks.core: tasks as data, for scripts. */
#ifndef ML_BINDINGS_INSPECT_TASKS_H
#define ML_BINDINGS_INSPECT_TASKS_H

#include <lua.h>

int ml_open_inspect_tasks(lua_State *L);

#endif
