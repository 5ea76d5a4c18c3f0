/*
 * Reports errors of tasks that no task gets: to the function given to task.on_error(), or on
 * stderr.
 */
#ifndef ML_BINDINGS_CORE_REPORT_H
#define ML_BINDINGS_CORE_REPORT_H

#include "bindings/core/lua_task.h"

/* Reports the error on top of the task's thread, on which the frames in which it happened still
 * stand. Never raises, never waits. */
void ml_report_failure(struct ml_lua *lua, struct ml_lua_task *task);

/* Keeps the error on top of the task's thread, whose frames still stand, and its traceback as
 * attributes. level: of the innermost frame to show, 0 for all. */
void ml_report_keep_traceback(struct ml_lua *lua, struct ml_lua_task *task, int level);

/* To be called when the variables of a failed task are closed: whether another error than the kept
 * one is on top of its thread. A cancellation, which cut the closing short, is replaced there by
 * the kept one. */
bool ml_report_first_is_replaced(struct ml_lua *lua, struct ml_lua_task *task);

/* The error on top of the task's thread is that of a closing variable: keeps it together with the
 * kept one. */
void ml_report_keep_closing(struct ml_lua *lua, struct ml_lua_task *task);

/* Stack: the Task of a failed task, its error; both are popped. Reports the error. Never waits. */
void ml_report_ended(lua_State *L);

/* Reports the error on top of `thread`, one of the task's, that a variable raised when it was
 * closed there. For the main task it is a warning, since lua5.4 reports nothing there. */
void ml_report_closing(struct ml_lua *lua, struct ml_lua_task *task, lua_State *thread);

/* task.report, see there. */
int ml_task_report(lua_State *L);

/* Calls the function below `arguments` values on top of the state aside, on behalf of the Task at
 * `handle` there; they are popped. It may not wait. Returns whether it ended well; otherwise
 * reports its error as that of `what`, such as "an on_exit function of". */
bool ml_report_call(struct ml_lua *lua, const char *what, int handle, int arguments);

/* The text of an error value that is a string or a number, as Lua writes it, in `text` if need be;
 * NULL for any other. Never raises. */
enum { ML_ERROR_NUMBER = 64 };
const char *ml_error_chars(lua_State *L, int index, char text[ML_ERROR_NUMBER]);

/* Pops the function on top of the stack, which is called from now on with the Task, the error value
 * and a traceback; nil: people get the report. Pushes the previous one. */
void ml_report_set_handler(lua_State *L);

#endif
