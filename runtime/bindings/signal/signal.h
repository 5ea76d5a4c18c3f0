/* The part of moonlet.signal that is written in C. */
#ifndef ML_BINDINGS_SIGNAL_SIGNAL_H
#define ML_BINDINGS_SIGNAL_SIGNAL_H

#include <lua.h>

/* moonlet.signal.core. */
int ml_open_signal(lua_State *L);

#endif
