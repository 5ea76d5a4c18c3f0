/* The part of moonlet.process that is written in C. */
#ifndef ML_BINDINGS_PROCESS_PROCESS_H
#define ML_BINDINGS_PROCESS_PROCESS_H

#include <lua.h>

/* moonlet.process.core */
int ml_open_process(lua_State *L);

#endif
