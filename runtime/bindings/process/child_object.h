/* The object behind a process: its methods, and how select waits for it. */
#ifndef ML_BINDINGS_PROCESS_CHILD_OBJECT_H
#define ML_BINDINGS_PROCESS_CHILD_OBJECT_H

#include "system/process/children.h"

#include <lua.h>

struct ml_child_object {
    struct ml_child *child; /* NULL: not started */
    pid_t pid;
    bool is_closed;
};

/* Creates the metatable; stack unchanged. */
void ml_open_child_type(lua_State *L);

/* Pushes an object without a child. Its user value 1 is to be the text of the command. */
struct ml_child_object *ml_push_child_object(lua_State *L);

#endif
