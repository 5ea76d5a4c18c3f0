#include "hub/state/scope.h"

#include "base/check.h"
#include "hub/state/ready.h"

#include <errno.h>
#include <stdlib.h>

static bool is_cut(const struct ml_scope *scope)
{
    return scope->expired || scope->cancelled;
}

/* The innermost scope in force that is cancelled or expired; NULL: none is. *shielded: a shield
 * keeps off a cancellation of the whole task. */
static struct ml_scope *cutting_scope(const struct ml_task *task, bool *shielded)
{
    struct ml_scope *scope = task->scope;
    *shielded = false;
    while (scope != NULL && !is_cut(scope)) {
        if (scope->kind == ML_SCOPE_SHIELD) {
            *shielded = true;
            return NULL;
        }
        scope = scope->outer;
    }
    return scope;
}

/* Recomputes whether anything in force is cancelled. */
static void review(struct ml_task *task)
{
    bool shielded;
    bool cut = cutting_scope(task, &shielded) != NULL;
    task->cancelled = cut || (task->was_cancelled && !shielded);
}

bool ml_scope_is_deadline(const struct ml_task *task)
{
    bool shielded;
    bool is_deadline = false;
    struct ml_scope *scope = cutting_scope(task, &shielded);
    bool is_whole = task->was_cancelled && !shielded;
    for (; scope != NULL; scope = scope->outer) {
        if (scope->cancelled)
            return false;
        is_deadline = is_deadline || scope->expired;
        if (scope->kind == ML_SCOPE_SHIELD)
            return is_deadline;
    }
    return is_deadline && !is_whole;
}

/* Derives what a scope inherits from the one outside. */
static void inherit(struct ml_scope *scope, struct ml_scope *outer)
{
    bool is_shield = scope->kind == ML_SCOPE_SHIELD;
    ml_time inherited = outer != NULL && !is_shield ? outer->nearest_deadline : ML_FOREVER;
    scope->outer = outer;
    scope->nearest_deadline = ml_time_earlier(scope->deadline, inherited);
    scope->forbids_switch =
        scope->kind >= ML_SCOPE_NO_SWITCH || (outer != NULL && outer->forbids_switch);
}

struct ml_scope *ml_scope_open(struct ml_hub *hub, enum ml_scope_kind kind, ml_time deadline)
{
    struct ml_task *task = hub->current;
    struct ml_scope *scope = hub->scopes.free;
    if (scope != NULL)
        hub->scopes.free = scope->outer;
    else if ((scope = malloc(sizeof *scope)) == NULL)
        return NULL;
    *scope = (struct ml_scope){
        .task = task, .deadline = deadline, .depth = task->depth, .kind = (uint8_t)kind};
    scope->serial = ++hub->scopes.last_serial;
    inherit(scope, task->scope);
    task->scope = scope;
    if (kind == ML_SCOPE_SHIELD)
        review(task);
    return scope;
}

static void give_back(struct ml_hub *hub, struct ml_scope *scope)
{
    scope->serial = 0;
    scope->outer = hub->scopes.free;
    hub->scopes.free = scope;
}

struct ml_scope_end ml_scope_close(struct ml_hub *hub, struct ml_scope *scope)
{
    struct ml_task *task = hub->current;
    ML_CHECK(task->scope == scope);
    struct ml_scope_end end = {.expired = scope->expired, .cancelled = scope->cancelled};
    task->scope = scope->outer;
    if (ml_unlikely(scope->is_followed))
        hub->hooks.scope_left(hub, scope);
    give_back(hub, scope);
    review(task);
    return end;
}

void ml_scope_close_all(struct ml_task *task)
{
    while (task->scope != NULL) {
        struct ml_scope *scope = task->scope;
        task->scope = scope->outer;
        give_back(task->hub, scope);
    }
    review(task);
}

void ml_scope_expire(struct ml_task *task, ml_time now)
{
    for (struct ml_scope *scope = task->scope; scope != NULL; scope = scope->outer) {
        if (scope->deadline <= now)
            scope->expired = task->cancelled = true;
        if (scope->kind == ML_SCOPE_SHIELD)
            return;
    }
}

static void postpone(struct ml_scope *scope, ml_time by)
{
    if (scope == NULL)
        return;
    postpone(scope->outer, by);
    if (scope->deadline != ML_FOREVER && !scope->expired)
        scope->deadline += by;
    inherit(scope, scope->outer);
}

void ml_scope_postpone(struct ml_task *task, ml_time by)
{
    postpone(task->scope, by);
}

int ml_cancel_point_look(struct ml_task *task)
{
    ml_time deadline = ml_scope_deadline(task);
    if (task->hub->life.is_forked)
        return -ECHILD;
    if (!task->cancelled && deadline != ML_FOREVER) {
        ml_time now = ml_hub_now(task->hub);
        if (deadline <= now)
            ml_scope_expire(task, now);
    }
    return task->cancelled ? -ECANCELED : 0;
}

void ml_scope_cancel(struct ml_scope *scope)
{
    struct ml_task *task = scope->task;
    scope->cancelled = true;
    if (task == NULL)
        return;
    review(task);
    if (task->cancelled)
        ml_task_wake(task, ML_WAKE_CANCEL);
}

void ml_scope_cancel_if_open(struct ml_scope *scope, uint64_t serial)
{
    if (scope->serial == serial)
        ml_scope_cancel(scope);
}

void ml_task_cancel(struct ml_task *task)
{
    if (task->state == ML_TASK_ENDED)
        return;
    task->was_cancelled = true;
    review(task);
    if (task->cancelled)
        ml_task_wake(task, ML_WAKE_CANCEL);
}

/* ---- the scopes of strands ---- */

/* Takes a scope out of force; from now on its depth counts from the strand at `depth`. */
static void suspend(struct ml_scope *scope, unsigned depth)
{
    scope->task = NULL;
    scope->depth = (uint16_t)(scope->depth - depth);
}

void ml_scope_detach(struct ml_task *task, struct ml_strand *bottom, unsigned depth)
{
    struct ml_scope *innermost = task->scope;
    if (innermost == NULL || innermost->depth < depth)
        return;
    struct ml_scope *last = innermost;
    suspend(last, depth);
    while (last->outer != NULL && last->outer->depth >= depth) {
        last = last->outer;
        suspend(last, depth);
    }
    task->scope = last->outer;
    last->outer = NULL;
    bottom->scope = innermost;
    review(task);
}

/* Puts a list of suspended scopes in force around `outer`, outermost first. */
static void resume(struct ml_task *task, struct ml_scope *scope, struct ml_scope *outer,
                   unsigned depth)
{
    if (scope->outer != NULL) {
        resume(task, scope->outer, outer, depth);
        outer = scope->outer;
    }
    scope->task = task;
    scope->depth = (uint16_t)(scope->depth + depth);
    inherit(scope, outer);
}

void ml_scope_attach(struct ml_task *task, struct ml_strand *bottom, unsigned depth)
{
    resume(task, bottom->scope, task->scope, depth);
    task->scope = bottom->scope;
    bottom->scope = NULL;
    review(task);
}

void ml_scope_close_held(struct ml_hub *hub, struct ml_strand *strand)
{
    while (strand->scope != NULL) {
        struct ml_scope *scope = strand->scope;
        strand->scope = scope->outer;
        give_back(hub, scope);
    }
}
