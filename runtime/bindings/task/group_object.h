/* Shared by the files of task.group: the object behind a group. */
#ifndef ML_BINDINGS_TASK_GROUP_OBJECT_H
#define ML_BINDINGS_TASK_GROUP_OBJECT_H

#include "base/list.h"
#include "hub/on/sync_primitives.h"

#include <lua.h>

/* User values. */
enum {
    ML_GROUP_FAILURE = 1,
    ML_GROUP_FAILURES = 2,
    ML_GROUP_ON_ERROR = 3,
    ML_GROUP_REASON = 4,
    ML_GROUP_FAILED =
        5, /* the Tasks that failed, in the order of their errors; false for the body */
    ML_GROUP_VALUES = ML_GROUP_FAILED
};

enum ml_group_on_error { ML_GROUP_CANCEL, ML_GROUP_REPORT, ML_GROUP_CALL };

struct ml_group {
    struct ml_link members;     /* that have not ended */
    struct ml_link joiners;     /* tasks that wait for all to end */
    struct ml_semaphore places; /* if has_limit */
    struct ml_scope *scope;     /* of the body, while it runs */
    uint64_t scope_serial;      /* of that scope: the body may be dropped with the generator in
                                   which it runs */
    int64_t count;
    enum ml_group_on_error on_error : 4;
    bool has_limit : 1;
    bool has_failed : 1; /* the error in ML_GROUP_FAILURE must be raised */
    bool is_told : 1;    /* join() has raised it */
    bool is_cancelled : 1;
    bool has_ended : 1; /* takes no more members */
    bool runs_body : 1; /* until the body returns, or is dropped with its generator */
};

extern const char ml_group_type[];

/* The wait for the end of its members: the task waits in its joiners. */
extern const struct ml_wait_kind ml_group_kind;

/* The group at 1; raises for anything else. */
struct ml_group *ml_check_group(lua_State *L);

#endif
