#include "bindings/coroutine/greenlet_object.h"

#include "bindings/core/lua_runtime.h"
#include "bindings/core/object.h"
#include "bindings/core/weak_table.h"

#include <lauxlib.h>

const char ml_greenlet_type[] = "greenlet";

/* Key in the registry of the table Task -> the object that stands for its own body. */
static const char roots_key;

struct ml_greenlet *ml_check_greenlet(lua_State *L, int index)
{
    return ml_check_object(L, index, ml_greenlet_type);
}

struct ml_lua_task *ml_greenlet_task(lua_State *L)
{
    struct ml_task *task = ml_lua_of(L)->hub.current;
    if (task == NULL)
        luaL_error(L, "no task is running");
    return ml_lua_task_of(task);
}

struct ml_greenlet *ml_greenlet_push_new(lua_State *L, const struct ml_lua_task *task)
{
    struct ml_greenlet *greenlet = ml_push_object(L, ml_greenlet_type, sizeof *greenlet, 2);
    ml_greenlet_adopt(greenlet, task);
    return greenlet;
}

/* Pushes the object that stands for the task's own body; makes it at the first call. */
struct ml_greenlet *ml_greenlet_push_root(lua_State *L, struct ml_lua_task *task)
{
    luaL_checkstack(L, 6, NULL);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &roots_key);
    ml_lua_push_task(L, task);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, -3) == LUA_TNIL) {
        lua_pop(L, 1);
        ml_greenlet_push_new(L, task)->state = ML_GREENLET_RUNNING;
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    return ml_to_object(L, -1);
}

void ml_greenlet_push_current(lua_State *L, struct ml_lua_task *task)
{
    if (task->greenlet == NULL) {
        ml_greenlet_push_root(L, task);
        return;
    }
    /* The first value of the `switch` call in which the root stands: it keeps the running greenlet
     * alive. */
    lua_State *root = task->greenlet->root;
    lua_pushvalue(root, 1);
    lua_xmove(root, L, 1);
}

void ml_greenlet_set_parent(lua_State *L, int greenlet, int object, struct ml_greenlet *parent)
{
    struct ml_greenlet *self = ml_to_object(L, greenlet);
    self->parent = ml_greenlet_is_root(parent) ? NULL : parent;
    if (ml_greenlet_is_root(parent))
        lua_pushnil(L);
    else
        lua_pushvalue(L, object);
    lua_setiuservalue(L, greenlet, ML_GREENLET_PARENT);
}

void ml_greenlet_objects_open(lua_State *L)
{
    ml_push_weak_table(L, "k");
    lua_rawsetp(L, LUA_REGISTRYINDEX, &roots_key);
}
