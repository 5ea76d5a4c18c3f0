/* Errors as scripts get them: nil, message, code; or raised as {message=, code=}. */
#ifndef ML_BINDINGS_CORE_FAILURE_H
#define ML_BINDINGS_CORE_FAILURE_H

#include <lua.h>
#include <stdbool.h>

/* Pushes nil, the error's sentence and its name: returns 3. */
int ml_push_failure(lua_State *L, int error);

/* Raises a text with the line of the script, "file.lua:12: ", not of the module of moonlet's that
 * called the C function. The format is lua_pushfstring's. */
int ml_raise_in_script(lua_State *L, const char *format, ...);

/* Raises {message=, code=}, which prints as its message, from the message and the code on top of
 * the stack. */
int ml_raise_failure(lua_State *L);

/* Pushes their metatable. Raises at the first call of a runtime, for want of memory. */
void ml_failure_push_type(lua_State *L);

/* Whether the value at `index` is one of those. */
bool ml_is_failure(lua_State *L, int index);

/* Pushes true for 0, else nil, the error's sentence and its name. Returns how many. */
static inline int ml_push_outcome(lua_State *L, int error)
{
    if (error != 0)
        return ml_push_failure(L, error);
    lua_pushboolean(L, 1);
    return 1;
}

#endif
