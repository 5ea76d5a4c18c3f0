/*
 * Groups of tasks (bindings/inspect/task_groups.h) as text for people: in dumps, and in reports of
 * deadlocks. Control characters and bytes that are no text are shown as \x1b. Knows neither where
 * the groups come from nor where the text goes.
 */
#ifndef ML_BINDINGS_INSPECT_GROUP_TEXT_H
#define ML_BINDINGS_INSPECT_GROUP_TEXT_H

#include <lua.h>
#include <stddef.h>

/* Takes text. It may not raise. */
struct ml_text_sink {
    void (*write)(void *context, const char *text, size_t size);
    void *context;
};

/* Writes the group at `group` with a line for each of its tasks that are known, the calls that they
 * share and where they were spawned. Raises for want of memory. */
void ml_group_text_write(lua_State *L, int group, const struct ml_text_sink *sink);

/* The same in the form of a report: the names of its first tasks in one line, without a line break
 * at the end. */
void ml_group_report_write(lua_State *L, int group, const struct ml_text_sink *sink);

/* Writes the deadlock at `deadlock` (bindings/inspect/wait_graph.h). */
void ml_deadlock_text_write(lua_State *L, int deadlock, const struct ml_text_sink *sink);

/* Writes what the summary of a dump says: "12 tasks", ": 1 running, ...". */
void ml_text_write(const struct ml_text_sink *sink, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
