#include "bindings/core/task_attribute.h"

#include "bindings/core/weak_table.h"

#include <lauxlib.h>

/* Keys in the registry of the tables Task -> value. */
static const char keys[ML_ATTRIBUTES];

void ml_attribute_set(lua_State *L, enum ml_attribute attribute, int task)
{
    lua_pushvalue(L, task);
    lua_insert(L, -2);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &keys[attribute]);
    lua_insert(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

int ml_attribute_get(lua_State *L, enum ml_attribute attribute, int task)
{
    task = lua_absindex(L, task);
    lua_rawgetp(L, LUA_REGISTRYINDEX, &keys[attribute]);
    lua_pushvalue(L, task);
    int type = lua_rawget(L, -2);
    lua_remove(L, -2);
    return type;
}

void ml_attributes_open(lua_State *L)
{
    for (int i = 0; i < ML_ATTRIBUTES; i++) {
        ml_push_weak_table(L, "k");
        lua_rawsetp(L, LUA_REGISTRYINDEX, &keys[i]);
    }
}
