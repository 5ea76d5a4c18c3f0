/*
 * What few tasks have, and is therefore no field of theirs: a reason for the cancellation,
 * functions to call at the end, locals, where it failed, what it knows of the errors it was given
 * (bindings/core/story.h). Lives as long as the Task's handle.
 */
#ifndef ML_BINDINGS_CORE_ATTRIBUTE_H
#define ML_BINDINGS_CORE_ATTRIBUTE_H

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
