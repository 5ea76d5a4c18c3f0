/*
 * The calls of a task through all threads of its chain, as data: for dumps, and for tools that look
 * at one of them. Knows nothing of the task's state and waits.
 */
#ifndef ML_BINDINGS_INSPECT_FRAMES_H
#define ML_BINDINGS_INSPECT_FRAMES_H

#include "bindings/core/task_threads.h"

/* Of a deep stack so many innermost and outermost calls are shown. */
enum { ML_FRAMES_TOP = 30, ML_FRAMES_BOTTOM = 5 };

/* A walk over the calls, from the innermost outwards. It is over at the next switch, and when the
 * task's code goes on. */
struct ml_frames {
    struct ml_task_threads threads;
    lua_State *thread; /* of the call that ml_frames_next() returned */
    int level;         /* its level there */
    int strand;        /* the number of that thread, counted from 1 at the innermost */
};

/* innermost: the thread whose code runs, for the running task; NULL for others. level: calls to
 * leave out. */
struct ml_frames ml_frames(const struct ml_lua_task *task, lua_State *innermost, int level);

/* Fills in the next call, for lua_getinfo(frames->thread, ..., frame), lua_getlocal() and the like;
 * false: there is none. Takes time for each level of its thread above it. Allocates nothing. */
bool ml_frames_next(struct ml_frames *frames, lua_Debug *frame);

/* Pushes a table: function -> name, of the functions in loaded modules ("table.sort"). */
void ml_frames_push_names(lua_State *L);

/* Pushes one call as a table {name, source, line, defined, what, strand}; `names` is the index of
 * that table. */
void ml_frames_push_call(lua_State *L, const struct ml_frames *frames, lua_Debug *frame, int names);

/*
 * Pushes the list of the calls. Of a deep stack the list has ML_FRAMES_TOP calls, {omitted = count}
 * and ML_FRAMES_BOTTOM calls. A task that has not begun has one call, of its function.
 */
void ml_frames_push(lua_State *L, const struct ml_lua_task *task, struct ml_frames frames,
                    int names);

/* A number that stacks with the same calls, at the same lines, share. Looks at the calls that
 * ml_frames_push() would show. Allocates nothing. */
uint64_t ml_frames_hash(const struct ml_lua_task *task, struct ml_frames frames);

#endif
