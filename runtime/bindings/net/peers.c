#include "bindings/net/peers.h"

#include "bindings/net/address.h"

/* Two tables, key of an address -> address. When the recent one is full it becomes the older one;
 * the content of the former older one is forgotten, except addresses that were looked up meanwhile.
 */
enum { RECENT = 1, OLDER = 2 };

/* Replaces the key, on top, with its address from a table. False: it is not there. */
static bool find(lua_State *L, int owner, int table)
{
    bool is_there = false;
    if (lua_getiuservalue(L, owner, table) == LUA_TTABLE) {
        lua_pushvalue(L, -2);
        is_there = lua_rawget(L, -2) == LUA_TTABLE;
        if (is_there)
            lua_replace(L, -3);
        else
            lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return is_there;
}

static void push_recent(lua_State *L, int owner, int *known)
{
    int type = lua_getiuservalue(L, owner, RECENT);
    if (type == LUA_TTABLE && *known < ML_PEERS_KEPT)
        return;
    lua_setiuservalue(L, owner, OLDER);
    lua_newtable(L);
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, owner, RECENT);
    *known = 0;
}

/* Stores the address, on top, under the key below it; leaves the address alone. */
static void remember(lua_State *L, int owner, int *known)
{
    push_recent(L, owner, known);
    lua_pushvalue(L, -3);
    lua_pushvalue(L, -3);
    lua_rawset(L, -3);
    lua_pop(L, 1);
    lua_remove(L, -2);
    ++*known;
}

void ml_push_peer(lua_State *L, int owner, int *known, const struct ml_address *address)
{
    ml_push_address_key(L, address);
    if (find(L, owner, RECENT))
        return;
    lua_pushvalue(L, -1);
    if (!find(L, owner, OLDER)) {
        lua_pop(L, 1);
        ml_push_address_of_key(L, -1);
    }
    remember(L, owner, known);
}
