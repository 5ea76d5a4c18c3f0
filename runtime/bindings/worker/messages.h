/* Functions of moonlet.worker.core for the messages between workers. */
#ifndef ML_BINDINGS_WORKER_MESSAGES_H
#define ML_BINDINGS_WORKER_MESSAGES_H

#include <lua.h>

/* Adds them to the module on top of the stack. */
void ml_worker_add_messages(lua_State *L);

#endif
