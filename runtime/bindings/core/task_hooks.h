/*
 * What folders above core want done for tasks. Each owner installs its own when its module is
 * opened; NULL: nothing is to be done. So core includes none of them.
 */
#ifndef ML_BINDINGS_CORE_TASK_HOOKS_H
#define ML_BINDINGS_CORE_TASK_HOOKS_H

#include <lua.h>
#include <stddef.h>

struct ml_group;
struct ml_lua;
struct ml_lua_task;
struct ml_strand;
struct ml_task;

/* Of bindings/task/group_members.c: tasks that are members of a group. */
struct ml_member_hooks {
    size_t size; /* of a Task that is one; it begins with a struct ml_lua_task */
    /* The task has begun: it is queued. */
    void (*begin)(struct ml_group *group, struct ml_lua_task *task);
    /* It has ended, its outcome is known and kept. Runs on the state aside; never raises. */
    void (*end)(struct ml_lua *lua, struct ml_lua_task *task);
};

/* Of bindings/coroutine/greenlet.c. */
struct ml_greenlet_hooks {
    /* What the thread of a greenlet runs: see hub->strand_body. */
    void (*body)(struct ml_strand *strand);
    /* The frames of the greenlet that the task runs are being abandoned. */
    void (*abandon)(struct ml_lua_task *task);
    /* Ends the dropped greenlets of the running task: may wait, raises its cancellation. */
    void (*kill_dropped)(lua_State *L);
    /* The task ends: its dropped greenlets do so in tasks of their own. Never raises. */
    void (*orphan)(struct ml_lua *lua, struct ml_lua_task *task);
};

struct ml_task_hooks {
    const struct ml_member_hooks *member;
    const struct ml_greenlet_hooks *greenlet;
    /* Of bindings/sync/mutex.c: a task has ended that holds mutexes. */
    void (*release_mutexes)(struct ml_lua *lua, struct ml_task *task);
};

#endif
