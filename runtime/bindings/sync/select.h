/*
 * moonlet.channel.select. What the world makes ready (streams, listeners) belongs to folders above:
 * they install how it is tried and waited for.
 */
#ifndef ML_BINDINGS_SYNC_SELECT_H
#define ML_BINDINGS_SYNC_SELECT_H

#include "base/clock.h"

#include <lua.h>
#include <stdbool.h>

struct ml_lua;
struct ml_waiter;

/* How objects of one type are selected. Installed in lua->select.sources. */
struct ml_select_source {
    const char *type;
    /* The object at `index` of L: 0, a connection on top of the stack; -EAGAIN: it is to be waited
     * for; or why it fails, -ENOBUFS: for want of a descriptor. */
    int (*attempt)(lua_State *L, int index);
    /* After an attempt that gave 0: pushes the results of "receive", their count. */
    int (*finish)(lua_State *L, int index);
    /* The waiter is to be granted when the object may be ready. May set *again to an earlier time
     * at which to look, whatever happens. is_short: an attempt failed for want of a descriptor.
     * 0, or an error: look at once. */
    int (*watch)(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again);
    void (*unwatch)(void *object);
};

/* channel.select, see there. */
int ml_channel_select(lua_State *L);

#endif
