/*
 * Functions that folders above core install for tasks, each owner when its module is opened; NULL:
 * there is nothing to do. So core includes none of them.
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

/* bindings/task/group_members.c: tasks that are members of a group. */
struct ml_member_hooks {
    size_t size; /* of the Task of a member, which begins with a struct ml_lua_task */
    /* The task has begun: it is queued. */
    void (*begin)(struct ml_group *group, struct ml_lua_task *task);
    /* It has ended, its outcome is known and kept. Runs on the state aside; never raises. */
    void (*end)(struct ml_lua *lua, struct ml_lua_task *task);
};

/* bindings/coroutine/greenlet.c. */
struct ml_greenlet_hooks {
    /* The body of a greenlet's thread: see hub->hooks.strand_body. */
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
    /* bindings/sync/mutex.c: a task that holds mutexes has ended. */
    void (*release_mutexes)(struct ml_lua *lua, struct ml_task *task);
    /* bindings/inspect/stop.c. The error on top of `thread`, on which its frames still stand, ends
     * the running task (`failed`), or is about to be caught (`raised`). May wait; does not raise.
     * NULL: nothing is to be done. */
    void (*failed)(struct ml_lua *lua, lua_State *thread, bool is_caught);
    void (*raised)(struct ml_lua *lua, lua_State *thread, bool is_caught);
};

#endif
