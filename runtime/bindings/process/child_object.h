/* The object behind a process: its methods, and how select waits for it. */
#ifndef ML_BINDINGS_PROCESS_CHILD_OBJECT_H
#define ML_BINDINGS_PROCESS_CHILD_OBJECT_H

#include "system/process/children.h"

#include <lua.h>

struct ml_child_object {
    struct ml_child *child; /* NULL: not started */
    pid_t pid;
    bool is_closed;
    uint64_t task;  /* the number of the task that has started it; 0: none */
    uint64_t scope; /* the serial of its innermost scope then; 0: none */
};

/* Creates the metatable; stack unchanged. */
void ml_open_child_type(lua_State *L);

/* Pushes an object without a child. Its user value 1 is to be the text of the command. */
struct ml_child_object *ml_push_child_object(lua_State *L);

/* Notes that the running task has started it, and in which scope. */
void ml_child_object_note_scope(lua_State *L, struct ml_child_object *object);

#endif
