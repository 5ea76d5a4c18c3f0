#include "bindings/task/task_options.h"

#include "bindings/core/failure.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/core/option.h"

#include <string.h>

bool ml_is_callable(lua_State *L, int index)
{
    if (ml_likely(lua_isfunction(L, index)))
        return true;
    if (luaL_getmetafield(L, index, "__call") == LUA_TNIL)
        return false;
    lua_pop(L, 1);
    return true;
}

static int is_callable(lua_State *L)
{
    luaL_checkany(L, 1);
    lua_pushboolean(L, ml_is_callable(L, 1));
    return 1;
}

/* raise(message, code): raises what iterators do. */
static int raise_failure(lua_State *L)
{
    lua_settop(L, 2);
    return ml_raise_failure(L);
}

/* fail(message): raises it with the line of the script that called moonlet's modules. */
static int fail(lua_State *L)
{
    return ml_raise_in_script(L, "%s", luaL_checkstring(L, 1));
}

int ml_open_argument(lua_State *L)
{
    static const luaL_Reg functions[] = {
        {"fail", fail}, {"is_callable", is_callable}, {"raise", raise_failure}, {NULL, NULL}};
    luaL_newlib(L, functions);
    return 1;
}

void ml_check_callable(lua_State *L, int index)
{
    if (!ml_is_callable(L, index))
        luaL_typeerror(L, index, "function");
}

static void read_stack_option(lua_State *L, int table, struct ml_lua_spawn *options)
{
    bool is_absent = lua_getfield(L, table, "stack") == LUA_TNIL;
    const char *kind = is_absent ? "shared" : lua_isstring(L, -1) ? lua_tostring(L, -1) : "";
    options->private_stack = strcmp(kind, "private") == 0;
    luaL_argcheck(L, options->private_stack || strcmp(kind, "shared") == 0, table,
                  "option 'stack' must be \"private\" or \"shared\"");
    lua_pop(L, 1);
}

/* Replaces the table by the name, or nil. */
static void read_name(lua_State *L, int table, struct ml_lua_spawn *options)
{
    lua_getfield(L, table, "name");
    if (!lua_isnil(L, -1)) {
        luaL_argcheck(L, lua_isstring(L, -1), table, "option 'name' must be a string");
        options->name = lua_tostring(L, -1);
        options->name_index = table;
    }
    lua_replace(L, table);
}

/* Absent: as the program is. */
static void read_preempt(lua_State *L, int table, struct ml_lua_spawn *options)
{
    static const char problem[] = "option 'preempt' must be a boolean or milliseconds, 1 to 60000";
    enum { MOST = 60000 };
    struct ml_lua *lua = ml_lua_of(L);
    int type = lua_getfield(L, table, "preempt"), after = 0;
    luaL_argcheck(L, type == LUA_TNIL || type == LUA_TBOOLEAN || type == LUA_TNUMBER, table,
                  problem);
    lua_Number number = lua_tonumber(L, -1);
    luaL_argcheck(L, type != LUA_TNUMBER || (number >= 1 && number <= MOST), table, problem);
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1))
        after = ML_NEVER_PREEMPTED;
    else if (type != LUA_TNIL)
        after = lua->watch_task(lua, (unsigned)number + (number > (unsigned)number));
    if (after < 0)
        luaL_error(L, "cannot preempt the task: %s", strerror(-after));
    options->preempt_after = (uint16_t)after;
    lua_pop(L, 1);
}

struct ml_lua_spawn ml_check_spawn(lua_State *L, int index)
{
    static const char *const names[] = {"name", "daemon", "quiet", "stack", "preempt", NULL};
    struct ml_lua_spawn options = {0};
    bool has_options = lua_istable(L, index) && !ml_is_callable(L, index);
    ml_check_callable(L, index + has_options);
    if (has_options) {
        ml_check_option_names(L, index, names);
        options.is_daemon = ml_boolean_option(L, index, "daemon", false);
        options.is_quiet = ml_boolean_option(L, index, "quiet", false);
        read_stack_option(L, index, &options);
        read_preempt(L, index, &options);
        read_name(L, index, &options);
    } else {
        lua_pushnil(L);
        lua_insert(L, index);
    }
    return options;
}
