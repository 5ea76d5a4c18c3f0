#include "bindings/core/task_view.h"

#include <lauxlib.h>

void ml_lua_task_push_group(lua_State *L, int handle)
{
    lua_getiuservalue(L, handle, ML_TASK_GROUP);
}

const char *ml_lua_push_task_name(lua_State *L, int handle)
{
    const struct ml_lua_task *task = lua_touserdata(L, handle);
    if (!task->is_named)
        lua_pushnil(L);
    else
        lua_getiuservalue(L, handle, ml_task_name_value(task->is_member));
    return lua_tostring(L, -1);
}

void ml_lua_push_task_text(lua_State *L, int handle)
{
    struct ml_lua_task *task = lua_touserdata(L, handle);
    const char *name = ml_lua_push_task_name(L, handle);
    if (name != NULL)
        lua_pushfstring(L, "task '%s' (#%I)", name, (LUAI_UACINT)task->task.id);
    else
        lua_pushfstring(L, "task #%I", (LUAI_UACINT)task->task.id);
    lua_remove(L, -2);
}
