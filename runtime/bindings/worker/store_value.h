/* Values of a shared store: Lua values as numbers or bytes, and back. */
#ifndef ML_BINDINGS_WORKER_STORE_VALUE_H
#define ML_BINDINGS_WORKER_STORE_VALUE_H

#include "bindings/thread/parcel.h"
#include "worker/store.h"

#include <lua.h>
#include <stddef.h>

/* A value of bytes begins with that, if it is a parcel. */
struct ml_store_parcel {
    uint32_t count, depth, shared, uses_cache;
};

/* A Lua value while it is being stored. */
struct ml_outgoing {
    struct ml_store_value value;
    struct ml_store_parcel head;
    struct ml_parcel *parcel; /* NULL: there is none */
};

/* Fills it in from the value at `index`, which must stay there. Raises for a value that cannot be
 * copied, before it owns anything. */
void ml_outgoing_make(lua_State *L, int index, struct ml_outgoing *outgoing);
void ml_outgoing_release(struct ml_outgoing *outgoing);

/* Room in front of the bytes that were read, for a parcel's own fields. */
enum { ML_STORE_RESERVE = offsetof(struct ml_parcel, bytes) };

/* Pushes the value, whose block it frees in any case. Raises. */
void ml_push_stored(lua_State *L, struct ml_store_copy *copy);

#endif
