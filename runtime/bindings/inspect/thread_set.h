/*
 * A set of addresses of Lua threads, for the debugger: those that have been examined since its
 * breakpoints changed. Only compares them: one may have been freed.
 */
#ifndef ML_BINDINGS_INSPECT_THREAD_SET_H
#define ML_BINDINGS_INSPECT_THREAD_SET_H

#include <lua.h>
#include <stdbool.h>
#include <stdint.h>

struct ml_thread_set {
    const lua_State **slots;
    uint32_t capacity; /* a power of two, or 0 */
    uint32_t count;
};

/* Puts it in; false: it was there. Without memory it is not there the next time, either. */
bool ml_thread_set_add(struct ml_thread_set *set, const lua_State *L);

void ml_thread_set_clear(struct ml_thread_set *set);

#endif
