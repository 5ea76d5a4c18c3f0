/*
 * A group of tasks: they share their end. What scripts do with one is told in bindings/group.c; here is what a
 * task tells its group.
 */
#ifndef ML_BINDINGS_GROUP_H
#define ML_BINDINGS_GROUP_H

#include "bindings/lua_task.h"

struct ml_group;

/* A task of a group. Its Task keeps the group alive. */
struct ml_member {
    struct ml_lua_task task;
    struct ml_link link; /* among the group's members that have not ended */
    struct ml_group *group;
};

/* The task has begun to be a member: it is queued. */
void ml_group_add(struct ml_group *group, struct ml_member *member);

/* Whether its group wants to be told where it fails. */
bool ml_group_wants_traceback(const struct ml_member *member);

/* The member has ended, its outcome is known and kept. Runs on the state aside; never raises. */
void ml_group_remove(struct ml_lua *lua, struct ml_member *member);

/* Registers the type of groups; stack unchanged. */
void ml_open_group_type(lua_State *L);

/* task.group, see there. */
int ml_task_group(lua_State *L);

#endif
