/* Channels between threads, as scripts see them: an object holds a port of its runtime. */
#ifndef ML_BINDINGS_THREAD_THREAD_CHANNEL_H
#define ML_BINDINGS_THREAD_THREAD_CHANNEL_H

#include "hub/on/thread_channel.h"

#include <lua.h>

struct ml_parcel;

/* The channel of the object at `index`, which stays its owner; NULL for anything else. */
struct ml_thread_channel *ml_test_thread_channel(lua_State *L, int index);

/* Gets a message from the channel at `index`, in the way of all calls that wait: 0, or an error.
 * Raises. */
int ml_thread_channel_get(lua_State *L, int index, struct ml_message **message, ml_time deadline);

/* Puts the parcel into the channel at `index`; after an error it is released. Raises, too. */
int ml_thread_channel_put(lua_State *L, int index, struct ml_parcel *parcel, ml_time deadline);

/* Pushes the object of a channel: the same one each time, as long as the script has it. Raises for
 * want of memory. */
void ml_push_thread_channel(lua_State *L, struct ml_thread_channel *channel);

/* thread.channel, see there. */
int ml_thread_channel_make(lua_State *L);

/* Creates the metatable. */
void ml_open_thread_channel_type(lua_State *L);

#endif
