/*
 * The children of a runtime: the loop watches for the end of each, so that none stays a zombie, and
 * none but the detached ones outlives the runtime, or the process's exit(). Knows neither how a
 * child is described (system/process/spawn.h) nor Lua.
 *
 * A child with a group takes the group along: the processes that are left in it when the child has
 * ended are killed. If the child was asked to end, they have until the same time as it has.
 */
#ifndef ML_SYSTEM_PROCESS_CHILDREN_H
#define ML_SYSTEM_PROCESS_CHILDREN_H

#include "hub/on/sync_primitives.h"
#include "system/file/quick.h"
#include "system/process/spawn.h"

#include <stdbool.h>

struct ml_alarm;
struct ml_scope;
struct ml_watch;

/* The children of one hub. */
struct ml_children {
    struct ml_hub *hub;
    struct ml_link all;
    struct ml_disks disks; /* that programs were started from */
};

enum ml_child_end {
    ML_CHILD_RUNS,
    ML_CHILD_EXITED,   /* `number` is the status */
    ML_CHILD_SIGNALED, /* `number` is the signal */
    ML_CHILD_UNKNOWN   /* other code of this process has waited for it */
};

/* Lives until it has ended and its owner has left it. */
struct ml_child {
    struct ml_link link;  /* in children->all */
    struct ml_link known; /* in the list of the process, until it has ended */
    struct ml_children *children;
    pid_t pid;
    pid_t process; /* whose child it is */
    int pidfd;
    struct ml_watch *watch;
    struct ml_alarm *alarm;
    struct ml_event ended;
    enum ml_child_end end;
    int number;
    uint64_t task;  /* the number of the task that has started it; 0: none */
    uint64_t scope; /* the serial of its innermost scope then; 0: none */
    ml_time kill_after;
    ml_time kill_at; /* by the real clock, once it was asked to end */
    bool has_group;
    bool is_detached;
    bool is_owned;
    bool is_ending;  /* it was asked to end */
    bool has_killed; /* SIGKILL was sent to all of it */
};

void ml_children_init(struct ml_children *children, struct ml_hub *hub);

/* Ends all children but the detached ones, and waits for them, the thread standing still: SIGTERM,
 * then SIGKILL to those that live on after their time. The hub is about to be closed. */
void ml_children_release(struct ml_children *children);

/* Starts a child; waits if what->may_wait. kill_after: span between SIGTERM and SIGKILL;
 * is_detached: it is left to itself when the owner leaves it. 0, or a negated errno as
 * ml_spawn_beside(); or -ENOMEM, nothing started. */
int ml_child_start(struct ml_children *children, const struct ml_spawn *what, ml_time kill_after,
                   bool is_detached, struct ml_child **child, struct ml_spawned *spawned);

/* Waits until it has ended. 0, or an error of ml_wait(). */
int ml_child_wait(struct ml_child *child, ml_time deadline);

/* Sends a signal to the child, or to its group. 0; -ESRCH: it has ended; or another error of
 * kill(). Never waits. */
int ml_child_signal(struct ml_child *child, int signal);

/* Asks it to end, unless that was done before: SIGTERM now, SIGKILL after its time. Never waits. */
void ml_child_terminate(struct ml_child *child);

/* The scope, in which some were started, has been left. If it was cancelled, they are asked to end;
 * else they belong to the scope around it. Never waits. */
void ml_children_leave_scope(struct ml_children *children, const struct ml_scope *scope);

/* Asks those to end that a task has started which was cancelled and has ended. Never waits. */
void ml_children_end_task(struct ml_children *children, uint64_t id);

/* The owner does not need it any more: it is asked to end unless it is detached. Never waits. */
void ml_child_leave(struct ml_child *child);

#endif
