#include "bindings/core/cancellation.h"

#include "bindings/core/lua_task.h"
#include "bindings/core/task_attribute.h"
#include "hub/state/scope.h"

#define CANCELLATION_TYPE "moonlet.cancellation"

static void push_reason(lua_State *L, struct ml_lua_task *task)
{
    if (!task->has_reason) {
        lua_pushnil(L);
        return;
    }
    ml_lua_push_task(L, task);
    ml_attribute_get(L, ML_ATTRIBUTE_REASON, -1);
    lua_remove(L, -2);
}

static void push_message(lua_State *L, bool deadline)
{
    if (deadline)
        lua_pushliteral(L, "deadline passed");
    else if (lua_isnil(L, -1))
        lua_pushliteral(L, "cancelled");
    else
        lua_pushfstring(L, "cancelled: %s", luaL_tolstring(L, -1, NULL));
}

/* The number is new to every task: a generator may note it in one and go on in another. */
void ml_cancellation_note(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    if (++lua->cancellations == 0)
        lua->cancellations++;
    lua->hub.current->told = lua->cancellations;
}

void ml_cancellation_push(lua_State *L)
{
    struct ml_lua_task *task = ml_lua_task_of(ml_lua_of(L)->hub.current);
    bool deadline = ml_scope_is_deadline(&task->task);
    luaL_checkstack(L, 6, NULL);
    lua_createtable(L, 0, 3);
    push_reason(L, task);
    lua_pushvalue(L, -1);
    lua_setfield(L, -3, "reason");
    int reason = lua_gettop(L);
    push_message(L, deadline);
    lua_setfield(L, reason - 1, "message");
    lua_settop(L, reason - 1);
    lua_pushstring(L, deadline ? "EDEADLINE" : "ECANCELED");
    lua_setfield(L, -2, "code");
    luaL_setmetatable(L, CANCELLATION_TYPE);
}

_Noreturn void ml_cancellation_raise(lua_State *L)
{
    ml_cancellation_note(L);
    ml_lua_task_of(ml_lua_of(L)->hub.current)->owes_cancellation = false;
    ml_cancellation_push(L);
    lua_error(L);
    __builtin_unreachable();
}

intptr_t ml_cancellation_count(lua_State *L)
{
    const struct ml_task *task = ml_lua_of(L)->hub.current;
    return task != NULL ? (intptr_t)task->told : 0;
}

bool ml_cancellation_is_raised(lua_State *L, intptr_t count)
{
    const struct ml_task *task = ml_lua_of(L)->hub.current;
    return task != NULL && ml_cancellation_count(L) != count &&
           (ml_lua_task_of(ml_lua_of(L)->hub.current)->owes_cancellation ||
            ml_is_cancellation(L, -1));
}

/* Whether a cancellation was raised since, which is paid by now, and is in force. */
static bool is_in_force(lua_State *L, intptr_t count)
{
    struct ml_hub *hub = &ml_lua_of(L)->hub;
    if (hub->current == NULL || ml_cancellation_count(L) == count)
        return false;
    ml_lua_task_of(hub->current)->owes_cancellation = false;
    return ml_cancel_point(hub) != 0;
}

void ml_cancellation_rethrow(lua_State *L, intptr_t count)
{
    bool is_raised = ml_cancellation_is_raised(L, count);
    if (!is_in_force(L, count))
        return;
    if (!is_raised)
        lua_error(L);
    ml_cancellation_raise(L);
}

void ml_cancellation_rethrow_anew(lua_State *L, intptr_t count)
{
    if (is_in_force(L, count))
        ml_cancellation_raise(L);
}

bool ml_is_cancellation(lua_State *L, int index)
{
    index = lua_absindex(L, index);
    if (!lua_getmetatable(L, index))
        return false;
    luaL_getmetatable(L, CANCELLATION_TYPE);
    bool is = lua_rawequal(L, -1, -2);
    lua_pop(L, 2);
    return is;
}

void ml_cancellation_set_reason(lua_State *L, int task, int index)
{
    task = lua_absindex(L, task);
    lua_pushvalue(L, index);
    ml_attribute_set(L, ML_ATTRIBUTE_REASON, task);
    ml_check_task(L, task)->has_reason = true;
}

static int cancellation_tostring(lua_State *L)
{
    lua_getfield(L, 1, "message");
    return 1;
}

void ml_cancellation_open(lua_State *L)
{
    luaL_newmetatable(L, CANCELLATION_TYPE);
    lua_pushcfunction(L, cancellation_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pop(L, 1);
}
