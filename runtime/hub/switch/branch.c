#include "hub/switch/branch.h"

#include "base/check.h"
#include "hub/state/hub.h"
#include "hub/state/scope.h"
#include "hub/switch/chain.h"
#include "hub/switch/switch.h"

#include <errno.h>

/* Takes a running branch off the root chain, whose innermost strand it returns. */
static struct ml_strand *lift(struct ml_task *task, struct ml_branch *branch)
{
    if (branch == NULL)
        return task->strand;
    struct ml_strand *root = branch->bottom->resumer;
    branch->top = task->strand;
    branch->height = (uint16_t)(task->depth - branch->root_depth - 1);
    if (ml_unlikely(task->scope != NULL))
        ml_scope_detach(task, branch->bottom, branch->root_depth + 1u);
    branch->bottom->resumer = NULL;
    task->depth = branch->root_depth;
    return root;
}

/* Puts a suspended branch on the root chain; returns the strand that goes on. */
static struct ml_strand *rest(struct ml_task *task, struct ml_branch *branch,
                              struct ml_strand *root)
{
    if (branch == NULL)
        return root;
    branch->root_depth = task->depth;
    branch->bottom->resumer = root;
    branch->bottom->coro.tag = ML_STRAND_ACTIVE;
    task->depth = (uint16_t)(task->depth + 1 + branch->height);
    if (ml_unlikely(branch->bottom->scope != NULL))
        ml_scope_attach(task, branch->bottom, branch->root_depth + 1u);
    return branch->top;
}

static struct ml_strand *next_of(struct ml_task *task, const struct ml_branch *from,
                                 const struct ml_branch *to)
{
    if (to != NULL)
        return to->top;
    return from != NULL ? from->bottom->resumer : task->strand;
}

int ml_branch_switch(struct ml_hub *hub, struct ml_branch *from, struct ml_branch *to)
{
    struct ml_task *task = hub->current;
    struct ml_strand *next = next_of(task, from, to);
    int error = ml_hub_prepare_strand(hub, next);
    if (ml_unlikely(error == -ENOMEM))
        return error;
    rest(task, to, lift(task, from));
    ml_hub_go_on(hub, next, error == 0);
    return 0;
}

void ml_branch_exit(struct ml_hub *hub, struct ml_branch *from, struct ml_branch *to)
{
    struct ml_task *task = hub->current;
    ML_CHECK(task->strand == from->bottom);
    struct ml_strand *next = rest(task, to, lift(task, from));
    from->bottom->coro.tag = ML_STRAND_UNBOUND;
    ml_scope_close_held(hub, from->bottom);
    from->top = NULL;
    ml_hub_end_strand(hub, next);
}

void ml_branch_drop(struct ml_hub *hub, struct ml_branch *branch)
{
    struct ml_strand *strand = branch->top;
    while (strand != NULL) {
        struct ml_strand *resumer = strand->resumer;
        strand->resumer = NULL;
        ml_strand_drop(hub, strand);
        strand = resumer;
    }
    branch->top = NULL;
}
