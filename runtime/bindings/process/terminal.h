/* The part of moonlet.terminal that is written in C. */
#ifndef ML_BINDINGS_PROCESS_TERMINAL_H
#define ML_BINDINGS_PROCESS_TERMINAL_H

#include <lua.h>

/* moonlet.terminal.core. */
int ml_open_terminal(lua_State *L);

#endif
