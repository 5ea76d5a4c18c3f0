/* Dumps of all tasks that a signal, or the host, asks for. */
#ifndef ML_VM_DUMP_H
#define ML_VM_DUMP_H

struct ml_hub;
struct ml_lua;

/* For hub.hooks.noticed: makes the dump that was asked for. */
void ml_dump_noticed(struct ml_hub *hub);

/* Installs the hook of vm/dump.c. To be called before anything asks for a dump. */
void ml_dumps_open(struct ml_lua *lua);

#endif
