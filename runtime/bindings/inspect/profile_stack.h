/*
 * Stacks of tasks as frames of a profile's store: through generators and greenlets down to the
 * body. Uses no memory of Lua's, so that it may run between any two instructions. Knows neither
 * when a sample is taken nor what it weighs.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_STACK_H
#define ML_BINDINGS_INSPECT_PROFILE_STACK_H

#include "bindings/core/lua_task.h"
#include "bindings/inspect/profile_store.h"

/*
 * Of a Lua thread the 120 innermost frames are taken, since Lua finds a frame by counting from
 * there, and the outermost 8 if it is no deeper than 1,024; "(...)" stands for those between.
 */
enum { ML_PROFILE_TOP = 120, ML_PROFILE_BOTTOM = 8, ML_PROFILE_DEEPEST = 1024 };

struct ml_profile_stack {
    struct ml_profile_store *store;
    bool has_lines; /* the lines that run tell frames apart, too */
    int depth;
    uint32_t frames[ML_PROFILE_DEPTH]; /* innermost first */
};

/* Adds a frame that is no function. */
void ml_profile_stack_mark(struct ml_profile_stack *stack, enum ml_profile_frame_kind kind,
                           const char *name);

/* Adds the frames of the task from `level` on of the thread `innermost`, and those of all threads
 * that it was resumed from. innermost: see ml_task_threads(). */
void ml_profile_stack_walk(struct ml_profile_stack *stack, struct ml_lua_task *task,
                           lua_State *innermost, int level);

/* Adds the task itself: its name, or the line where it was spawned. scratch: a Lua thread with room
 * for two values. */
void ml_profile_stack_task(struct ml_profile_stack *stack, struct ml_lua_task *task,
                           lua_State *scratch);

#endif
