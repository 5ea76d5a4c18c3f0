/* The object behind a greenlet, and the one that stands for a task's own body. */
#ifndef ML_BINDINGS_COROUTINE_GREENLET_OBJECT_H
#define ML_BINDINGS_COROUTINE_GREENLET_OBJECT_H

#include "bindings/core/lua_task.h"
#include "hub/switch/branch.h"

extern const char ml_greenlet_type[];

enum ml_greenlet_state {
    ML_GREENLET_NEW,
    ML_GREENLET_SUSPENDED,
    ML_GREENLET_RUNNING,
    ML_GREENLET_DEAD
};

/* User values of a greenlet: its thread; its parent, nil for the root of the task. */
enum { ML_GREENLET_THREAD = 1, ML_GREENLET_PARENT = 2 };

struct ml_greenlet {
    struct ml_branch branch;
    lua_State *L;               /* its thread; NULL for a task's root */
    lua_State *stand;           /* the thread of its own `switch` call, while it is suspended */
    lua_State *root;            /* the thread of the root's `switch` call, while this one runs */
    struct ml_greenlet *parent; /* NULL: the root */
    uint64_t task;              /* id of the task it belongs to */
    uint32_t slot;              /* of that task */
    enum ml_greenlet_state state;
};

static inline bool ml_greenlet_is_root(const struct ml_greenlet *greenlet)
{
    return greenlet->L == NULL;
}

/* The greenlet at `index`; raises for anything else. */
struct ml_greenlet *ml_check_greenlet(lua_State *L, int index);

/* The running task; raises without one. */
struct ml_lua_task *ml_greenlet_task(lua_State *L);

/* Each pushes a greenlet and returns it: a new one that belongs to the task; the one that stands
 * for the task's own body; the one that the task runs. */
struct ml_greenlet *ml_greenlet_push_new(lua_State *L, const struct ml_lua_task *task);
struct ml_greenlet *ml_greenlet_push_root(lua_State *L, struct ml_lua_task *task);
void ml_greenlet_push_current(lua_State *L, struct ml_lua_task *task);

/* Makes the task its owner. */
static inline void ml_greenlet_adopt(struct ml_greenlet *greenlet, const struct ml_lua_task *task)
{
    greenlet->task = task->task.id;
    greenlet->slot = task->task.waiter.slot;
}

/* Makes `parent`, whose object is at `object`, the parent of the greenlet at `greenlet`. */
void ml_greenlet_set_parent(lua_State *L, int greenlet, int object, struct ml_greenlet *parent);

/* Prepares the registry. */
void ml_greenlet_objects_open(lua_State *L);

#endif
