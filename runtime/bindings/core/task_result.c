#include "bindings/core/task_result.h"

#include "base/error.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/story.h"

#include <errno.h>
#include <lauxlib.h>

/* Pushes the results of the Task at `handle`, which ended well with at least one; returns how many.
 */
static int push_results(lua_State *L, int handle, int count)
{
    luaL_checkstack(L, count + 2, "too many results");
    lua_getiuservalue(L, handle, ML_TASK_RESULTS);
    if (count == 1)
        return 1;
    int table = lua_gettop(L);
    for (int i = 1; i <= count; i++)
        lua_rawgeti(L, table, i);
    lua_remove(L, table);
    return count;
}

void ml_lua_task_push_value(lua_State *L, int handle)
{
    lua_getiuservalue(L, handle, ML_TASK_RESULTS);
}

int ml_lua_task_push_end(lua_State *L, int handle)
{
    const struct ml_lua_task *task = lua_touserdata(L, handle);
    handle = lua_absindex(L, handle);
    if (task->outcome == ML_OUTCOME_DONE) {
        lua_pushboolean(L, 1);
        return 1 + (task->result_count > 0 ? push_results(L, handle, task->result_count) : 0);
    }
    bool has_failed = task->outcome == ML_OUTCOME_FAILED;
    luaL_pushfail(L);
    if (has_failed) {
        lua_getiuservalue(L, handle, ML_TASK_RESULTS);
        ml_story_pass(L, handle);
    } else {
        lua_pushstring(L, ml_error_text(ECANCELED));
    }
    lua_pushstring(L, ml_error_name(has_failed ? ML_EFAILED : ECANCELED));
    return 3;
}
