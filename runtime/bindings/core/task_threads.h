/*
 * The Lua threads of a task, from the one that runs, or left off, through those that resumed it
 * down to the task's own. Knows nothing of the calls on them.
 */
#ifndef ML_BINDINGS_CORE_TASK_THREADS_H
#define ML_BINDINGS_CORE_TASK_THREADS_H

#include "bindings/core/lua_task.h"

/* A walk over them. It is over at the next switch. */
struct ml_task_threads {
    lua_State *innermost; /* NULL: it was visited */
    struct ml_strand *strand;
};

/* innermost: the thread whose code runs, or left off. That need not be one of the chain's: a C
 * library may run a coroutine of its own on top. */
static inline struct ml_task_threads ml_task_threads(const struct ml_lua_task *task,
                                                     lua_State *innermost)
{
    return (struct ml_task_threads){innermost, task->task.strand};
}

/* The next thread outwards; NULL: that was all. */
static inline lua_State *ml_task_threads_next(struct ml_task_threads *threads)
{
    lua_State *thread = threads->innermost;
    threads->innermost = NULL;
    if (threads->strand != NULL && (thread == NULL || thread == ml_thread_of(threads->strand))) {
        thread = ml_thread_of(threads->strand);
        threads->strand = threads->strand->resumer;
    }
    return thread;
}

#endif
