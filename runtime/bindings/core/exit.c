#include "bindings/core/exit.h"

#include "bindings/core/blocking.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/task_body.h"
#include "hub/loop/run.h"
#include "hub/state/scope.h"

#include <stdlib.h>

static int exit_status(lua_State *L)
{
    if (lua_isboolean(L, 1))
        return lua_toboolean(L, 1) ? EXIT_SUCCESS : EXIT_FAILURE;
    return (int)luaL_optinteger(L, 1, EXIT_SUCCESS);
}

/* With true as second argument the tasks are unwound, this one first, and the state is closed. A
 * call outside of a task comes from the state's own finalizers: it is being closed already. */
int ml_os_exit(lua_State *L)
{
    int status = exit_status(L);
    struct ml_lua *lua = ml_lua_of(L);
    if (!lua_toboolean(L, 2)) {
        if (lua->exit.before != NULL)
            lua->exit.before(lua);
        exit(status);
    }
    bool is_in_finalizer = ml_is_in_finalizer(L);
    if (lua->hub.current == NULL && (lua->is_closing || !is_in_finalizer)) {
        lua_close(lua->main);
        exit(status);
    }
    lua->exit.is_asked = true;
    lua->exit.status = status;
    ml_hub_stop(&lua->hub);
    /* A finalizer, or a report, must come to its end: the code that called it is unwound at its
     * next wait. */
    if (is_in_finalizer || lua->report.is_composed) {
        if (lua->hub.current != NULL)
            ml_task_cancel(lua->hub.current);
        return 0;
    }
    ml_lua_task_restart(lua, ML_RUN_CLOSING);
}
