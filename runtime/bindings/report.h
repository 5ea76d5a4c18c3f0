/*
 * Errors of tasks that nobody joins: told to the function given to task.on_error(), or to people.
 */
#ifndef ML_BINDINGS_REPORT_H
#define ML_BINDINGS_REPORT_H

#include "bindings/lua_task.h"

/* Tells the error on top of the task's thread, on which the frames in which it happened still stand. Never
 * raises, never waits. */
void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task);

/* Keeps the traceback of the error on top of the task's thread, whose frames still stand, as an attribute, unless there
 * is one. level: of the innermost frame that is told, 0 for all. */
void ml_report_keep_traceback(struct ml_lua *lua, struct ml_lua_task *task, int level);

/* task.report, see there. */
int ml_task_report(lua_State *L);

/* Tells the error on top of the state aside, of a function that was called on a task's behalf; `what`
 * names it in case the error says nothing. */
void ml_report_callback_failure(struct ml_lua *lua, const char *what);

/* The text of an error value that is a string or a number, as Lua writes it, in `text` if need be; NULL for any other.
 * Never raises. */
enum { ML_ERROR_NUMBER = 64 };
const char *ml_error_chars(lua_State *L, int index, char text[ML_ERROR_NUMBER]);

/* Makes the function on top of the stack, which is popped, the one that is called with the Task, the error
 * value and a traceback; nil: people are told. Pushes the one before. */
void ml_report_set_handler(lua_State *L);

#endif
