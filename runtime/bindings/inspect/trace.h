/* Traces in Lua: they begin and end, are taken; spans and marks. The text is made in Lua. */
#ifndef ML_BINDINGS_INSPECT_TRACE_H
#define ML_BINDINGS_INSPECT_TRACE_H

#include <lua.h>

/* Opens moonlet.inspect.trace.core. */
int ml_open_inspect_trace(lua_State *L);

#endif
