/*
 * The origin of an error, while its value travels unchanged. The traceback of the task that failed
 * is kept, and handed to each task that gets the value from it (by join(), a group, ...). When that
 * task fails with the same value, both are shown. Does not decide who gets a report.
 */
#ifndef ML_BINDINGS_CORE_STORY_H
#define ML_BINDINGS_CORE_STORY_H

#include "bindings/core/lua_task.h"

/* Stack: the Task at 1; the error value at 2, with which it fails; the level of the innermost frame
 * to show at 3. Its frames still stand. Keeps the value and its traceback as attributes. Raises for
 * want of memory. */
int ml_story_keep(lua_State *L);

/* Stack: the Task, the error value after its variables were closed. Returns the kept value, and
 * whether the other one is an error that took its place: true for any but itself and a
 * cancellation. */
int ml_story_take_first(lua_State *L);

/* Stack: the Task, the error of one of its closing variables. Keeps the traceback of the error that
 * caused the closing. Raises. */
int ml_story_keep_closing(lua_State *L);

/* The running task gets the error on top of L from the Task at `failed`, and with it that one's
 * traceback. The stack stays as it was. Raises for want of memory. */
void ml_story_pass(lua_State *L, int failed);

/* Stack: an error, the story that another thread of the process has of it, which begins with "in "
 * and is popped: from now on the running task has it. Raises for want of memory. */
void ml_story_hand(lua_State *L);

/* The error on top of `thread`, on which its frames still stand, is about to go to another thread
 * of the running task: keeps its traceback for the task. level: of the innermost frame to show, 0
 * for all. Never raises, never waits. */
void ml_story_note(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread, int level);

/* A message handler that leaves the error as it is. It keeps the traceback for the Task that is its
 * upvalue; without one, for the running task. */
int ml_story_handler(lua_State *L);

/* task.core.noting: returns that handler for a Task. */
int ml_story_noting(lua_State *L);

/* task.core.story: returns the story that a Task has of an error, or nil. */
int ml_story_get(lua_State *L);

/* Stack: a traceback of the Task at `task` that fails with the error at `error`. Puts the story
 * that it has of that error in front, or in its place if that shows more of the same calls. */
void ml_story_complete(lua_State *L, int task, int error);

/* Pushes the story that the Task at `task` has of the error at `error`, nil without. */
bool ml_story_push(lua_State *L, int task, int error);

/* The running task forgets its stories. */
void ml_story_forget(lua_State *L);

/* Prepares the registry. */
void ml_story_open(lua_State *L);

#endif
