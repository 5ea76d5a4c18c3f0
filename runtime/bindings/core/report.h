/*
 * Errors of tasks that nobody joins: told to the function given to task.on_error(), or to people.
 */
#ifndef ML_BINDINGS_CORE_REPORT_H
#define ML_BINDINGS_CORE_REPORT_H

#include "bindings/core/lua_task.h"

/* Tells the error on top of the task's thread, on which the frames in which it happened still
 * stand. Never raises, never waits. */
void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task);

/* Keeps the error on top of the task's thread, whose frames still stand, and its traceback as
 * attributes. level: of the innermost frame that is told, 0 for all. */
void ml_report_keep_traceback(struct ml_lua *lua, struct ml_lua_task *task, int level);

/* The variables of a task that failed are closed: whether another error than the kept one is on top
 * of its thread. A cancellation, which cut the closing short, gives way to the kept one there. */
bool ml_report_first_is_replaced(struct ml_lua *lua, struct ml_lua_task *task);

/* The error on top of the task's thread is that of a closing variable: keeps it with what was kept
 * before. */
void ml_report_keep_closing(struct ml_lua *lua, struct ml_lua_task *task);

/* Stack: the Task of a failed task, its error; both are popped. Tells the error. Never waits. */
void ml_report_ended(lua_State *L);

/* Tells the error on top of `thread`, one of the task's, that a variable raised when it was closed
 * there. Of the main task, as whose program lua5.4 says nothing, it is a warning. */
void ml_report_closing(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread);

/* task.report, see there. */
int ml_task_report(lua_State *L);

/* Calls the function below `arguments` values on top of the state aside, on behalf of the Task at
 * `handle` there; they are popped. It may not wait. Whether it ended well; else its error is told
 * as that of `what`, such as "an on_exit function of". */
bool ml_report_call(struct ml_lua *lua, const char *what, int handle, int arguments);

/* The text of an error value that is a string or a number, as Lua writes it, in `text` if need be;
 * NULL for any other. Never raises. */
enum { ML_ERROR_NUMBER = 64 };
const char *ml_error_chars(lua_State *L, int index, char text[ML_ERROR_NUMBER]);

/* Makes the function on top of the stack, which is popped, the one that is called with the Task,
 * the error value and a traceback; nil: people are told. Pushes the one before. */
void ml_report_set_handler(lua_State *L);

#endif
