/*
 * Cancel scopes: a deadline and a cancelled flag over everything a task does between open and
 * close. They nest, and every wait inside checks all of them anew. Outside all of them the task as
 * a whole can be cancelled. Knows nothing of how a cancellation reaches the program.
 *
 * A scope belongs to the strand that opened it, and is not in force while that is suspended: the
 * list of scopes in force (task->scope) consists of the scopes of the strands in the task's chain.
 */
#ifndef ML_HUB_STATE_SCOPE_H
#define ML_HUB_STATE_SCOPE_H

#include "hub/state/hub.h"

enum ml_scope_kind {
    ML_SCOPE_PLAIN,
    ML_SCOPE_SHIELD,     /* scopes outside are not in force inside */
    ML_SCOPE_NO_SWITCH,  /* no wait is allowed inside: bindings check it */
    ML_SCOPE_TRANSACTION /* nor here, but for calls of the transaction's own connection */
};

struct ml_scope {
    struct ml_scope *outer;
    struct ml_task *task;     /* where it is in force; NULL while its strand is suspended */
    ml_time deadline;         /* its own, absolute */
    ml_time nearest_deadline; /* the earliest of its own and the outer ones, up to a shield */
    uint64_t serial;          /* counts from 1, never reused in a hub; 0: it is closed */
    uint16_t depth;           /* of its strand in the task's chain */
    uint8_t kind;             /* enum ml_scope_kind */
    bool forbids_switch;      /* it or one outside is of the last two kinds */
    bool expired;             /* cancelled by its deadline */
    bool cancelled;           /* by ml_scope_cancel() */
    bool is_followed;         /* hooks.scope_left is called when it closes */
};

/* Opens a scope inside those of the running task. NULL: no memory. Close it in reverse order, on
 * the same strand. */
struct ml_scope *ml_scope_open(struct ml_hub *hub, enum ml_scope_kind kind, ml_time deadline);

/* How a scope ended, from ml_scope_close(). */
struct ml_scope_end {
    bool expired;   /* its own deadline cut it short */
    bool cancelled; /* ml_scope_cancel() did */
};

/* Closes the innermost scope of the running task, which must be `scope`. */
struct ml_scope_end ml_scope_close(struct ml_hub *hub, struct ml_scope *scope);

/* The nearest deadline in force. */
static inline ml_time ml_scope_deadline(const struct ml_task *task)
{
    return ml_likely(task->scope == NULL) ? ML_FOREVER : task->scope->nearest_deadline;
}

/* The rest of ml_cancel_point(): a scope is cancelled or has a deadline. */
int ml_cancel_point_look(struct ml_task *task);

/*
 * Does not wait.
 *
 * - 0;
 * - -ECANCELED: a scope in force is cancelled or its deadline has passed;
 * - -ECHILD: this process was forked by the task, and no wait is possible.
 */
static inline int ml_cancel_point(struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    if (ml_likely(!task->cancelled && task->scope == NULL))
        return 0;
    return ml_cancel_point_look(task);
}

/* The same for an operation that waits until `deadline` at most: with ML_NEVER_WAIT, 0. */
static inline int ml_cancel_point_until(struct ml_hub *hub, ml_time deadline)
{
    return deadline == ML_NEVER_WAIT ? 0 : ml_cancel_point(hub);
}

/* Marks the scopes in force whose deadline is not after `now` as cancelled. */
void ml_scope_expire(struct ml_task *task, ml_time now);

/* Moves the deadlines of all scopes in force that have not passed by `by`. */
void ml_scope_postpone(struct ml_task *task, ml_time by);

/* Cancels the scope; from any task of the hub. Never waits. */
void ml_scope_cancel(struct ml_scope *scope);

/* The same for a caller that may outlive the scope, and read its serial while it was open. Harmless
 * once the scope is closed, also by the drop of its strand. */
void ml_scope_cancel_if_open(struct ml_scope *scope, uint64_t serial);

/* Whether the task is cancelled by a deadline, and not by a call. */
bool ml_scope_is_deadline(const struct ml_task *task);

/* Cancels the whole task: its wait, if it is in one, ends now, and each later one ends at once.
 * Never waits; harmless on a task that has ended. */
void ml_task_cancel(struct ml_task *task);

/* Gives back every scope in force: the task ends. */
void ml_scope_close_all(struct ml_task *task);

/* ---- for the strands ---- */

/* Takes the scopes of depth `depth` and more out of force; `bottom` holds them. */
void ml_scope_detach(struct ml_task *task, struct ml_strand *bottom, unsigned depth);

/* Puts the scopes that `bottom` holds in force again; `bottom` stands at `depth` in the task's
 * chain. */
void ml_scope_attach(struct ml_task *task, struct ml_strand *bottom, unsigned depth);

/* Gives back those that a suspended strand holds: it ends. */
void ml_scope_close_held(struct ml_hub *hub, struct ml_strand *strand);

#endif
