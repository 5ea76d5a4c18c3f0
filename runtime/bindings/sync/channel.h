/*
 * A channel: Lua values handed from task to task, first come first served. The operations here
 * never wait; moonlet.channel and its select wait in the channel's queues.
 */
#ifndef ML_BINDINGS_SYNC_CHANNEL_H
#define ML_BINDINGS_SYNC_CHANNEL_H

#include "bindings/core/lua_runtime.h"
#include "hub/wait/wait.h"

extern const char ml_channel_type[];

struct ml_channel {
    struct ml_link getters;
    struct ml_link putters; /* waiter.value: index of the value in the waiting call */
    lua_State *in;  /* user value 1: a thread whose stack takes values; NULL without capacity */
    lua_State *out; /* user value 2: one that gives them, the oldest on top */
    uint32_t capacity;
    uint32_t count;     /* of buffered values, on both */
    uint32_t count_out; /* of those on `out` */
    bool is_closed;
    bool has_error; /* user value 3: the argument of close() */
};

enum ml_channel_outcome { ML_CHANNEL_DONE, ML_CHANNEL_CLOSED, ML_CHANNEL_MUST_WAIT };

/* Pushes the next value on L. */
enum ml_channel_outcome ml_channel_try_get(lua_State *L, struct ml_channel *channel);

/* Puts the value on top of L, which is popped on success. */
enum ml_channel_outcome ml_channel_try_put(lua_State *L, struct ml_channel *channel);

/* Pushes nil, "closed" or the error of the channel at `index`, "CLOSED"; returns 3. */
int ml_channel_push_closed(lua_State *L, int index);

/* channel.new, see there. */
int ml_channel_new(lua_State *L);

/* Creates the metatable; stack unchanged. */
void ml_open_channel_type(lua_State *L);

#endif
