#include "vm/charged.h"

#include <lauxlib.h>
#include <lualib.h>

/* How often the function repeats something with the arguments on the stack; 0 for wrong arguments,
 * about which it raises itself. */
typedef lua_Unsigned count_times(lua_State *L);

/* The numbers from `first` to `last`. */
static lua_Unsigned span(lua_Integer first, lua_Integer last)
{
    return last >= first ? (lua_Unsigned)last - (lua_Unsigned)first : 0;
}

/* The integer at `index`, `otherwise` if it is absent or none. */
static lua_Integer integer_at(lua_State *L, int index, lua_Integer otherwise)
{
    int is_integer;
    lua_Integer value = lua_tointegerx(L, index, &is_integer);
    return is_integer ? value : otherwise;
}

static lua_Integer length_of(lua_State *L, int index)
{
    return lua_istable(L, index) ? luaL_len(L, index) : 0;
}

static lua_Unsigned times_of_rep(lua_State *L)
{
    return span(1, integer_at(L, 2, 0));
}

static lua_Unsigned times_of_move(lua_State *L)
{
    return span(integer_at(L, 2, 1), integer_at(L, 3, 0));
}

/* Elements behind the position move by one; at the end none does. */
static lua_Unsigned times_of_insert(lua_State *L)
{
    lua_Integer length = lua_gettop(L) > 2 ? length_of(L, 1) : 0;
    return span(integer_at(L, 2, length), length);
}

static lua_Unsigned times_of_remove(lua_State *L)
{
    lua_Integer length = lua_gettop(L) > 1 ? length_of(L, 1) : 0;
    return span(integer_at(L, 2, length), length);
}

static lua_Unsigned times_of_concat(lua_State *L)
{
    lua_Integer last = lua_isnoneornil(L, 4) ? length_of(L, 1) : integer_at(L, 4, 0);
    return span(integer_at(L, 3, 1), last);
}

static lua_Unsigned times_of_unpack(lua_State *L)
{
    lua_Integer last = lua_isnoneornil(L, 3) ? length_of(L, 1) : integer_at(L, 3, 0);
    return span(integer_at(L, 2, 1), last);
}

static const struct {
    const char *library;
    const char *name;
    count_times *count;
} charged[] = {
    {LUA_STRLIBNAME, "rep", times_of_rep},       {LUA_TABLIBNAME, "move", times_of_move},
    {LUA_TABLIBNAME, "insert", times_of_insert}, {LUA_TABLIBNAME, "remove", times_of_remove},
    {LUA_TABLIBNAME, "concat", times_of_concat}, {LUA_TABLIBNAME, "unpack", times_of_unpack},
};

/* Upvalues: the function, its index in `charged`, the charge. */
static int call_charged(lua_State *L)
{
    lua_Integer index = lua_tointeger(L, lua_upvalueindex(2));
    void (*charge)(lua_State *, lua_Unsigned);
    *(void **)&charge = lua_touserdata(L, lua_upvalueindex(3));
    charge(L, charged[index].count(L));
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, LUA_MULTRET);
    return lua_gettop(L);
}

void ml_charged_open(lua_State *L, void (*charge)(lua_State *L, lua_Unsigned times))
{
    for (size_t i = 0; i < sizeof charged / sizeof *charged; i++) {
        lua_getglobal(L, charged[i].library);
        lua_getfield(L, -1, charged[i].name);
        lua_pushinteger(L, (lua_Integer)i);
        lua_pushlightuserdata(L, *(void **)&charge);
        lua_pushcclosure(L, call_charged, 3);
        lua_setfield(L, -2, charged[i].name);
        lua_pop(L, 1);
    }
}
