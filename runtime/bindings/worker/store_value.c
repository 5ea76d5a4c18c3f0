#include "bindings/worker/store_value.h"

#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>

/* Kinds of values that are bytes to the store. */
enum { STRING = ML_STORE_BYTES, TRUTH, PARCEL };

_Static_assert(sizeof(struct ml_store_parcel) % _Alignof(struct ml_parcel) == 0,
               "the parcel begins behind as many bytes");

static void take_number(lua_State *L, int index, struct ml_store_value *value)
{
    value->kind = lua_isinteger(L, index) ? ML_STORE_INTEGER : ML_STORE_NUMBER;
    lua_Integer whole = lua_tointeger(L, index);
    lua_Number number = lua_tonumber(L, index);
    memcpy(&value->word, lua_isinteger(L, index) ? (void *)&whole : (void *)&number,
           sizeof value->word);
}

static void take_parcel(lua_State *L, int index, struct ml_outgoing *o)
{
    struct ml_parcel *parcel = ml_pack(L, index, 1, "value", 1);
    if (parcel->message.channel_count > 0) {
        ml_parcel_release(parcel);
        luaL_error(L, "value cannot be stored: a channel is of this process");
    }
    o->parcel = parcel;
    o->head =
        (struct ml_store_parcel){parcel->count, parcel->depth, parcel->shared, parcel->uses_cache};
    o->value.kind = PARCEL;
    o->value.bytes[0] = (struct ml_span){(const char *)&o->head, sizeof o->head};
    o->value.bytes[1] = (struct ml_span){parcel->bytes, parcel->size};
}

void ml_outgoing_make(lua_State *L, int index, struct ml_outgoing *outgoing)
{
    struct ml_store_value *value = &outgoing->value;
    *outgoing = (struct ml_outgoing){0};
    switch (lua_type(L, index)) {
    case LUA_TNUMBER:
        take_number(L, index, value);
        break;
    case LUA_TBOOLEAN:
        value->kind = TRUTH;
        value->bytes[0] = (struct ml_span){lua_toboolean(L, index) ? "t" : "f", 1};
        break;
    case LUA_TSTRING:
        value->kind = STRING;
        value->bytes[0].bytes = lua_tolstring(L, index, &value->bytes[0].size);
        break;
    default:
        take_parcel(L, index, outgoing);
    }
}

void ml_outgoing_release(struct ml_outgoing *outgoing)
{
    if (outgoing->parcel != NULL)
        ml_parcel_release(outgoing->parcel);
}

static void push_number(lua_State *L, const struct ml_store_copy *copy)
{
    lua_Integer whole;
    lua_Number number;
    memcpy(&whole, &copy->word, sizeof whole);
    memcpy(&number, &copy->word, sizeof number);
    if (copy->kind == ML_STORE_INTEGER)
        lua_pushinteger(L, whole);
    else
        lua_pushnumber(L, number);
}

/* The fields of a parcel in front of its bytes; the head lay there. (The bytes begin inside what C
 * would copy with the whole struct.) */
static struct ml_parcel *parcel_of(struct ml_store_copy *copy)
{
    struct ml_store_parcel head;
    memcpy(&head, copy->block + ML_STORE_RESERVE, sizeof head);
    struct ml_parcel *parcel = (struct ml_parcel *)(copy->block + sizeof head);
    memset(parcel, 0, offsetof(struct ml_parcel, bytes));
    parcel->size = copy->size - sizeof head;
    parcel->count = head.count;
    parcel->depth = head.depth;
    parcel->shared = head.shared;
    parcel->uses_cache = head.uses_cache != 0;
    return parcel;
}

/* Stack: the copy -> its value. */
static int push_bytes(lua_State *L)
{
    struct ml_store_copy *copy = lua_touserdata(L, 1);
    const char *bytes = copy->block + ML_STORE_RESERVE;
    if (copy->kind == PARCEL && copy->size >= sizeof(struct ml_store_parcel))
        return ml_unpack(L, parcel_of(copy));
    if (copy->kind == TRUTH)
        lua_pushboolean(L, bytes[0] == 't');
    else
        lua_pushlstring(L, bytes, copy->size);
    return 1;
}

void ml_push_stored(lua_State *L, struct ml_store_copy *copy)
{
    if (copy->block == NULL) {
        push_number(L, copy);
        return;
    }
    if (!lua_checkstack(L, 4)) {
        free(copy->block);
        luaL_error(L, "stack overflow");
    }
    lua_pushcfunction(L, push_bytes);
    lua_pushlightuserdata(L, copy);
    int status = lua_pcall(L, 1, 1, 0);
    free(copy->block);
    if (status != LUA_OK)
        lua_error(L);
}
