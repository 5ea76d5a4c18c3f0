/* moonlet.inspect.trace.core: traces begin, end and are taken; spans and marks. Knows no format:
 * text is made by stdlib/moonlet/inspect/perfetto.lua. */
#ifndef ML_BINDINGS_INSPECT_TRACE_H
#define ML_BINDINGS_INSPECT_TRACE_H

#include <lua.h>

/* Opens moonlet.inspect.trace.core. */
int ml_open_inspect_trace(lua_State *L);

#endif
