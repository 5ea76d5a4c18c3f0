/* `require` for tasks. */
#ifndef ML_BINDINGS_LIB_REQUIRE_H
#define ML_BINDINGS_LIB_REQUIRE_H

#include <lua.h>

struct ml_task;

/* The wait for a module that another task loads. */
extern const struct ml_wait_kind ml_module_kind;

/* The task that loads the module for which a task waits; NULL: it has ended. */
struct ml_task *ml_module_loader(const struct ml_task *task);

/* Replaces that of the standard library. Raises. */
void ml_open_require(lua_State *L);

#endif
