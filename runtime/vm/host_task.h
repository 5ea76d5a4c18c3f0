/* The runtime's side of its hosts' handles of tasks (vm/host_task.c). */
#ifndef ML_VM_HOST_TASK_H
#define ML_VM_HOST_TASK_H

#include <stdbool.h>

struct lua_State;
struct ml_lua_task;
struct moonlet;
struct moonlet_task;

/*
 * Makes a task of a Lua function, as moonlet_spawn_lua() does. path: NULL: the function stands
 * below its arguments; otherwise its place among the globals, "name" or "table.name", looked up
 * without metamethods. is_quiet: a later join gets its error. 0, -ENOENT: there is nothing of that
 * name; or an error of moonlet_spawn_lua().
 */
int ml_host_spawn_lua(struct moonlet *m, struct lua_State *L, const char *path, int count,
                      bool is_quiet, struct moonlet_task **task);

/* The task of a handle, which may have ended. */
struct ml_lua_task *ml_host_task(const struct moonlet_task *handle);

/* Pushes its Task on a state of its runtime. */
void ml_host_task_push(struct lua_State *L, const struct moonlet_task *handle);

/* The runtime is closed: handles outlive it. To be called after the last task has ended, before the
 * Lua state is closed. */
void ml_host_tasks_detach(struct moonlet *m);

#endif
