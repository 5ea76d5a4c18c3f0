/*
 * Lua values packed into one block of bytes, to be unpacked in another runtime. A parcel belongs to
 * no Lua state: any thread may carry it, or release it. The bytes are for bindings/thread/pack.c
 * and bindings/thread/unpack.c alone.
 */
#ifndef ML_BINDINGS_THREAD_PARCEL_H
#define ML_BINDINGS_THREAD_PARCEL_H

#include "base/check.h"
#include "hub/on/thread_channel.h"

#include <lua.h>

/* What a parcel is made of. Numbers are in the machine's own order. */
enum ml_parcel_tag {
    ML_PARCEL_NIL,
    ML_PARCEL_FALSE,
    ML_PARCEL_TRUE,
    ML_PARCEL_BYTE,     /* an integer: int8_t */
    ML_PARCEL_INTEGER,  /* lua_Integer */
    ML_PARCEL_NUMBER,   /* lua_Number */
    ML_PARCEL_SHORT,    /* a string: place in the cache, length (a byte each), bytes */
    ML_PARCEL_CACHED,   /* the string at that place of the cache */
    ML_PARCEL_STRING,   /* a string: uint64_t length, bytes */
    ML_PARCEL_TABLE,    /* struct ml_parcel_table; values of 1, 2, ...; END */
    ML_PARCEL_ARRAY,    /* the same with the metatable of json.array */
    ML_PARCEL_FAILURE,  /* the same with that of moonlet's failures */
    ML_PARCEL_KEYED,    /* in a table: from here on keys and values */
    ML_PARCEL_END,      /* of a table */
    ML_PARCEL_SEEN,     /* uint32_t: the shared table or function of that number */
    ML_PARCEL_FUNCTION, /* struct ml_parcel_function; its code; its upvalues */
    ML_PARCEL_GLOBALS,  /* an upvalue: the globals of the runtime */
    ML_PARCEL_JOINED,   /* an upvalue: uint32_t, of the function of that number; uint8_t, which */
    ML_PARCEL_MODULE,   /* a string: a module, by its name */
    ML_PARCEL_MEMBER,   /* two strings: a module, and the field of it */
    ML_PARCEL_CHANNEL,  /* struct ml_thread_channel * */
    ML_PARCEL_NULL      /* json.null */
};

struct ml_parcel_table {
    uint32_t number; /* by which it is named again; 0: it is not */
    uint32_t items;  /* of 1, 2, ... */
    uint32_t keyed;
};

struct ml_parcel_function {
    uint32_t number;   /* as above */
    uint32_t upvalues; /* how many */
    uint64_t size;     /* of its code */
};

/* Places of the cache of short strings, and the longest that enters. */
enum { ML_PARCEL_CACHE = 64, ML_PARCEL_SHORTEST_LONG = 41 };

struct ml_parcel {
    struct ml_message message;
    size_t size;     /* of the bytes */
    uint32_t count;  /* values */
    uint32_t depth;  /* tables and functions inside each other, at most */
    uint32_t shared; /* tables and functions that are named again */
    bool uses_cache;
    char bytes[];
};

static inline void ml_parcel_release(struct ml_parcel *parcel)
{
    parcel->message.release(&parcel->message);
}

static inline struct ml_parcel *ml_parcel_of(struct ml_message *message)
{
    return ml_container_of(message, struct ml_parcel, message);
}

/* Copies `count` values from `first` on; the stack stays as it was. Calls no metamethod. Raises an
 * error that names the value which cannot be copied: `name` says what they are, such as "argument
 * #%d" (the number counts from `number`), or "value". */
struct ml_parcel *ml_pack(lua_State *L, int first, int count, const char *name, int number);

/* The same, but NULL instead of an error; then its text is in `text`. Does not raise. */
enum { ML_PACK_TEXT = 400 };
struct ml_parcel *ml_pack_try(lua_State *L, int first, int count, const char *name, int number,
                              char text[ML_PACK_TEXT]);

/* A parcel of one string. NULL: no memory. */
struct ml_parcel *ml_parcel_of_string(const void *data, size_t size);

/* The bytes of a parcel that is one string, *size of them; NULL: it is something else. */
const char *ml_parcel_string(const struct ml_parcel *parcel, size_t *size);

/* Pushes the values of a parcel, which stays the caller's, and returns how many. Modules that are
 * named in it are required: that may wait. Raises. */
int ml_unpack(lua_State *L, const struct ml_parcel *parcel);

/* The same for a parcel that is released in any case. */
int ml_unpack_and_release(lua_State *L, struct ml_parcel *parcel);

/* Stack: the name of a module, the name of a field -> the field; the module is required. Raises. */
void ml_push_member(lua_State *L);

#endif
