/*
 * A dump: all tasks in groups of equal stacks, as text for people. Knows neither who asked for it
 * nor where it goes.
 */
#ifndef ML_BINDINGS_INSPECT_DUMP_H
#define ML_BINDINGS_INSPECT_DUMP_H

#include "bindings/inspect/group_text.h"
#include "bindings/inspect/task_entry.h"

struct ml_dump {
    struct ml_text_sink sink;
    struct ml_dump_place place;
    /* A task that is left out, the one that makes the dump; NULL: none. */
    const struct ml_lua_task *without;
};

/* Stack: a struct ml_dump as light userdata. Writes the dump. Between slices others run if the
 * caller is a task on whose thread L it may wait. Raises for want of memory. */
int ml_dump_write(lua_State *L);

/* The same on the state aside, in one go. Raises nothing: if there is no memory, the text ends with
 * a line that says so. */
void ml_dump_write_aside(struct ml_lua *lua, struct ml_dump *dump);

/* Writes that line. */
void ml_dump_write_failure(const struct ml_dump *dump);

#endif
