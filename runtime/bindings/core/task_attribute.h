/*
 * Attributes that few tasks have, and that are therefore no fields: a reason for the cancellation,
 * functions to call at the end, locals, the traceback of its failure, the stories of errors that it
 * was given (bindings/core/story.h). They live as long as the Task's handle.
 */
#ifndef ML_BINDINGS_CORE_TASK_ATTRIBUTE_H
#define ML_BINDINGS_CORE_TASK_ATTRIBUTE_H

#include <lua.h>

enum ml_attribute {
    ML_ATTRIBUTE_REASON,
    ML_ATTRIBUTE_EXITS,
    ML_ATTRIBUTE_LOCALS,
    ML_ATTRIBUTE_TRACEBACK,
    ML_ATTRIBUTE_ERROR,
    ML_ATTRIBUTE_STORIES,
    ML_ATTRIBUTES
};

/* Makes the value on top of the stack, which is popped, the attribute of the Task at `task`; nil
 * forgets it. */
void ml_attribute_set(lua_State *L, enum ml_attribute attribute, int task);

/* Pushes the attribute of the Task at `task`, nil if it has none; returns its type. */
int ml_attribute_get(lua_State *L, enum ml_attribute attribute, int task);

/* Prepares the registry. */
void ml_attributes_open(lua_State *L);

#endif
