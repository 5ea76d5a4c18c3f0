#include "bindings/thread/outcome.h"

#include "bindings/core/cancellation.h"
#include "bindings/core/story.h"

#include <lauxlib.h>

/* The first value of an outcome. */
enum kind { RESULTS, ERROR };

struct ml_parcel *ml_thread_outcome_of_text(lua_State *L, const char *text)
{
    char refusal[ML_PACK_TEXT];
    int top = lua_gettop(L);
    if (!lua_checkstack(L, 4))
        return NULL;
    lua_pushinteger(L, ERROR);
    lua_pushstring(L, text);
    lua_pushnil(L);
    struct ml_parcel *parcel = ml_pack_try(L, top + 1, 3, "value", 0, refusal);
    lua_settop(L, top);
    return parcel;
}

struct ml_parcel *ml_outcome_of_results(lua_State *L, int first)
{
    char refusal[ML_PACK_TEXT];
    int count = lua_gettop(L) - first + 1;
    if (!lua_checkstack(L, 4))
        return NULL;
    lua_pushinteger(L, RESULTS);
    lua_insert(L, first);
    struct ml_parcel *parcel = ml_pack_try(L, first, count + 1, "result #%d", 0, refusal);
    return parcel != NULL ? parcel : ml_thread_outcome_of_text(L, refusal);
}

/* Stack: an error value. Replaces it by a text. Never raises a metamethod's error. */
static int to_text(lua_State *L)
{
    if (ml_is_cancellation(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL)
        luaL_tolstring(L, 1, NULL);
    else
        lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
    return 1;
}

/* Stack: an error value -> one that can be copied. */
static void make_copyable(lua_State *L)
{
    lua_pushcfunction(L, to_text);
    lua_insert(L, -2);
    if (lua_pcall(L, 1, 1, 0) != LUA_OK) {
        lua_pop(L, 1);
        lua_pushliteral(L, "(error object cannot be shown)");
    }
}

struct ml_parcel *ml_outcome_of_error(lua_State *L)
{
    char refusal[ML_PACK_TEXT];
    int error = lua_gettop(L);
    if (!lua_checkstack(L, 8))
        return NULL;
    lua_pushinteger(L, ERROR);
    if (lua_istable(L, error) && !ml_is_cancellation(L, error)) {
        lua_rawgeti(L, error, 1);
        lua_rawgeti(L, error, 2);
    } else {
        lua_pushvalue(L, error);
        lua_pushnil(L);
    }
    struct ml_parcel *parcel = NULL;
    if (!ml_is_cancellation(L, error + 2))
        parcel = ml_pack_try(L, error + 1, 3, "value", 0, refusal);
    if (parcel == NULL) {
        lua_pushvalue(L, error + 2);
        make_copyable(L);
        lua_replace(L, error + 2);
        parcel = ml_pack_try(L, error + 1, 3, "value", 0, refusal);
    }
    lua_settop(L, error);
    return parcel;
}

/* Stack: the error, its traceback or nil; pops the traceback. */
static void note_story(lua_State *L, const char *name)
{
    if (lua_type(L, -1) != LUA_TSTRING) {
        lua_pop(L, 1);
        return;
    }
    lua_pushfstring(L, "in thread '%s':\n%s", name, lua_tostring(L, -1));
    lua_replace(L, -2);
    ml_story_hand(L);
}

int ml_outcome_push(lua_State *L, struct ml_parcel *outcome)
{
    int first = lua_gettop(L) + 1;
    int count = ml_unpack_and_release(L, outcome);
    lua_pushboolean(L, lua_tointeger(L, first) == RESULTS);
    lua_replace(L, first);
    return count;
}

int ml_outcome_raise(lua_State *L, const char *name)
{
    note_story(L, name);
    return lua_error(L);
}

int ml_outcome_take(lua_State *L, struct ml_parcel *outcome, const char *name)
{
    int first = lua_gettop(L) + 1;
    int count = ml_outcome_push(L, outcome);
    return lua_toboolean(L, first) ? count - 1 : ml_outcome_raise(L, name);
}
