/*
 * How an error came about, while its value travels unchanged: the traceback of the task that failed
 * is kept, and handed to each task that gets the value from it (by join(), a group, ...). When that
 * one fails with the same value, both are told. Decides nothing about who is told.
 */
#ifndef ML_BINDINGS_CORE_STORY_H
#define ML_BINDINGS_CORE_STORY_H

#include "bindings/core/lua_task.h"

/* Stack: the Task at 1, the error value at 2, with which it fails, the level from which on frames
 * are told at 3; its frames still stand. Keeps both that value and its traceback as attributes.
 * Raises for want of memory. */
int ml_story_keep(lua_State *L);

/* Stack: the Task, the error value after its variables were closed. Returns the value that was
 * kept, and whether the other is an error that took its place: true for any but itself and a
 * cancellation. */
int ml_story_take_first(lua_State *L);

/* Stack: the Task, the error of one of its closing variables. Keeps, as the traceback, what was
 * closed for. Raises. */
int ml_story_keep_closing(lua_State *L);

/* The running task gets the error on top of L, of the Task at `failed`: it is handed that one's
 * traceback. The stack stays as it was. Raises for want of memory. */
void ml_story_pass(lua_State *L, int failed);

/* The error on top of `thread`, on which its frames still stand, leaves that for another thread of
 * the running task, which is handed where it came about. level: of the innermost frame that is
 * told, 0 for all. Never raises, never waits. */
void ml_story_note(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread, int level);

/* A message handler, which leaves the error as it is: where that came about is handed to the Task
 * that is its upvalue, without one to the running task. */
int ml_story_handler(lua_State *L);

/* task.core.noting: returns that handler for a Task. */
int ml_story_noting(lua_State *L);

/* task.core.story: returns what a Task was handed with an error, or nil. */
int ml_story_get(lua_State *L);

/* Stack: a traceback of the Task at `task` that fails with the error at `error`. Puts what it was
 * handed with that before it, or in its place if that was told further inside the same calls. */
void ml_story_complete(lua_State *L, int task, int error);

/* Pushes what the Task at `task` was handed with the error at `error`, nil for nothing. */
bool ml_story_push(lua_State *L, int task, int error);

/* The running task forgets what it was handed. */
void ml_story_forget(lua_State *L);

/* Prepares the registry. */
void ml_story_open(lua_State *L);

#endif
