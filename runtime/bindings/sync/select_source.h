/*
 * What channel.select can wait for besides the objects of its own folder. Streams, listeners and
 * others, which become ready from outside, belong to folders above: these install how to try them
 * and wait for them.
 */
#ifndef ML_BINDINGS_SYNC_SELECT_SOURCE_H
#define ML_BINDINGS_SYNC_SELECT_SOURCE_H

#include "base/clock.h"

#include <lua.h>
#include <stdbool.h>

struct ml_lua;
struct ml_waiter;

/* How to select objects of one type. Installed in lua->select.sources. */
struct ml_select_source {
    const char *type;
    /* Tries the object at `index` of L, with the value that is to be put behind it. 0, for a
     * listener with the connection on top of the stack, for a get with the value; -EAGAIN: wait for
     * it; or an error; -ENOBUFS: there is no descriptor. */
    int (*attempt)(lua_State *L, int index);
    /* After an attempt that gave 0: pushes the results of "receive", "next" or "wait", and returns
     * their count. */
    int (*finish)(lua_State *L, int index);
    /* After an attempt that gave an error: pushes the results, and returns their count. NULL: they
     * are those of every failure. */
    int (*fail)(lua_State *L, int index, int error);
    /* Has the waiter granted when the object may be ready. May set *again to an earlier time at
     * which to look in any case. is_short: an attempt found no descriptor. 0, or an error: look at
     * once. */
    int (*watch)(struct ml_lua *lua, void *object, struct ml_waiter *waiter, bool is_short,
                 ml_time *again);
    void (*unwatch)(void *object);
    /* Asked while it is watched: whether an event from outside can end the wait. The waiter is
     * granted when that changes. NULL: one can. */
    bool (*is_external)(void *object);
};

#endif
