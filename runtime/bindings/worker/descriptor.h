/* Descriptors that wait to be passed to another worker. Knows no connection. */
#ifndef ML_BINDINGS_WORKER_DESCRIPTOR_H
#define ML_BINDINGS_WORKER_DESCRIPTOR_H

#include <lua.h>

/* Adds to the module on top of the stack: descriptor(object), is_passable(value). */
void ml_worker_add_descriptors(lua_State *L);

#endif
