/*
 * The members of a group: tasks that have begun in it and not ended, and the effect of their
 * failures on the others. Knows nothing of how a group is made, waited for and closed
 * (bindings/task/group.c).
 */
#ifndef ML_BINDINGS_TASK_GROUP_MEMBERS_H
#define ML_BINDINGS_TASK_GROUP_MEMBERS_H

#include "bindings/core/lua_task.h"
#include "bindings/core/task_hooks.h"

struct ml_group;

/* A task of a group. Its Task keeps the group alive. */
struct ml_member {
    struct ml_lua_task task;
    struct ml_link link; /* among the group's members that have not ended */
    struct ml_group *group;
};

/* Called by core when a member begins and ends. */
extern const struct ml_member_hooks ml_group_member_hooks;

/* Cancels the present members. reason: index of the value that they get; 0: none. Never waits. */
void ml_group_cancel_members(lua_State *L, struct ml_group *group, int reason);

/* Cancels present and future members, and the body. reason: as above. Never waits. */
void ml_group_cancel_all(lua_State *L, struct ml_group *group, int reason);

/* Stack: the group's object at `object`, an error on top, which is popped. The first error is kept
 * to be raised and cancels the rest; later ones are only listed. failed: index of the Task whose
 * error it is, 0: the body's. */
void ml_group_fail(lua_State *L, struct ml_group *group, int object, int failed);

/* The running task gets the group's failure of this number, counted from 1, which is on top of the
 * stack, with its story. */
void ml_group_pass(lua_State *L, int object, lua_Integer number);

/* Methods, documented where they are defined. */
int ml_group_spawn(lua_State *L);
int ml_group_room(lua_State *L);
int ml_group_errors(lua_State *L);
int ml_group_has(lua_State *L);

#endif
