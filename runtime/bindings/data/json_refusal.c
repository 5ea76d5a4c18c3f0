#include "bindings/data/json_refusal.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* The levels that are searched for a table that contains itself. */
enum { LONGEST_CYCLE = 2000 };

static bool is_identifier(const char *text, size_t size)
{
    static const char others[] = "_0123456789";
    bool is_one = size > 0 && strlen(text) == size && !(text[0] >= '0' && text[0] <= '9');
    for (size_t i = 0; is_one && i < size; i++) {
        char lower = (char)(text[i] | 0x20);
        is_one = (lower >= 'a' && lower <= 'z') || strchr(others, text[i]) != NULL;
    }
    return is_one;
}

static void add_step(lua_State *L, luaL_Buffer *b, int key)
{
    size_t size;
    if (lua_type(L, key) == LUA_TNUMBER) {
        lua_pushfstring(L, lua_isinteger(L, key) ? "[%I]" : "[%f]",
                        lua_isinteger(L, key) ? lua_tointeger(L, key) : 0);
        luaL_addvalue(b);
        return;
    }
    const char *text = lua_tolstring(L, key, &size);
    bool is_plain = is_identifier(text, size);
    luaL_addstring(b, is_plain ? "." : "[\"");
    luaL_addlstring(b, text, size);
    luaL_addstring(b, is_plain ? "" : "\"]");
}

/* The path to the table of a level, or with its key. */
static void push_path(struct ml_json_encoder *e, int depth, bool has_key)
{
    luaL_Buffer b;
    luaL_buffinit(e->L, &b);
    luaL_addstring(&b, "value");
    for (int i = 1; i < depth + has_key; i++) {
        if (e->levels[i - 1].shape == ML_JSON_ARRAY) {
            lua_pushfstring(e->L, "[%I]", e->levels[i - 1].index);
            luaL_addvalue(&b);
        } else {
            add_step(e->L, &b, ml_json_slot(e, i, ML_JSON_KEY));
        }
    }
    luaL_pushresult(&b);
}

_Noreturn void ml_json_refuse(struct ml_json_encoder *e, int depth, bool has_key, const char *text)
{
    luaL_checkstack(e->L, LUA_MINSTACK, NULL);
    push_path(e, depth, has_key);
    luaL_where(e->L, 1);
    lua_pushfstring(e->L, "%s%s %s", lua_tostring(e->L, -1), lua_tostring(e->L, -2), text);
    lua_error(e->L);
    abort();
}

_Noreturn void ml_json_refuse_value(struct ml_json_encoder *e, const char *text)
{
    ml_json_refuse(e, e->depth, true, text);
}

_Noreturn void ml_json_refuse_depth(struct ml_json_encoder *e)
{
    const void *tables[2] = {NULL};
    for (int i = 2; i <= e->depth && i <= LONGEST_CYCLE; i++) {
        tables[0] = lua_topointer(e->L, ml_json_slot(e, i, ML_JSON_TABLE));
        for (int k = 1; k < i; k++) {
            tables[1] = lua_topointer(e->L, ml_json_slot(e, k, ML_JSON_TABLE));
            if (tables[0] == tables[1])
                ml_json_refuse(e, i, false, "contains itself: a cycle");
        }
    }
    ml_json_refuse(e, e->depth < 8 ? e->depth : 8, true, "is nested too deep");
}

_Noreturn void ml_json_refuse_key(struct ml_json_encoder *e, bool has_names)
{
    lua_State *L = e->L;
    int type = lua_type(L, -1);
    if (type == LUA_TSTRING || (has_names && lua_isinteger(L, -1)))
        ml_json_refuse(e, e->depth, false, "has names and numbers as keys");
    if (lua_isinteger(L, -1))
        ml_json_refuse(
            e, e->depth, false,
            lua_pushfstring(L, "is a sparse array: it has the key %I", lua_tointeger(L, -1)));
    ml_json_refuse(e, e->depth, false,
                   lua_pushfstring(L, "has a key that is a %s", luaL_typename(L, -1)));
}
