#include "bindings/core/preempting.h"

#include "bindings/core/blocking.h"
#include "interpose/held_locks.h"
#include "interpose/no_wait.h"

#include <string.h>

/* Modules of the standard library are "=[moonlet]" and "=[moonlet.NAME]": vm/state.c. */
static bool is_library(lua_State *L, lua_Debug *event)
{
    static const char prefix[] = "=[moonlet";
    enum { LENGTH = sizeof prefix - 1 };
    if (!lua_getinfo(L, "S", event) || strncmp(event->source, prefix, LENGTH) != 0)
        return false;
    return event->source[LENGTH] == '.' || event->source[LENGTH] == ']';
}

/* Whether a C library up the stack could lock others out. */
static bool is_in_library_call(const struct ml_hub *hub)
{
    struct ml_libc_calls *calls = hub->libc_calls;
    return calls != NULL &&
           (ml_locks_are_held(calls) || ml_no_wait_is_inside(calls, __builtin_frame_address(0)));
}

bool ml_preempt(lua_State *L, lua_Debug *event, void (*pass)(struct ml_hub *hub))
{
    struct ml_lua *lua = ml_lua_of(L);
    struct ml_hub *hub = &lua->hub;
    if (hub->current == NULL || is_library(L, event) || is_in_library_call(hub) ||
        !ml_blocking_begin_quietly(L)) {
        lua->tasks.postponed++;
        return false;
    }
    lua->tasks.preempted++;
    pass(hub);
    ml_blocking_finish(L);
    return true;
}
