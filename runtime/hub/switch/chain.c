#include "hub/switch/chain.h"

#include "base/check.h"
#include "coro/coro.h"
#include "hub/state/scope.h"
#include "hub/switch/switch.h"

#include <errno.h>

static void set_state(struct ml_strand *strand, enum ml_strand_state state)
{
    strand->coro.tag = state;
}

uint32_t ml_strand_weight(const struct ml_hub *hub)
{
    enum { KIB_SHIFT = 10 };
    const struct ml_task *task = hub->current;
    if (task->depth < ML_STRAND_WEIGHED)
        return 0;
    const struct ml_stack *stack = &hub->bank.running->seat->stack;
    size_t frames = (size_t)(ml_stack_top(stack) - (char *)__builtin_frame_address(0));
    uint32_t below = task->strand->coro.tag >> ML_STRAND_WEIGHT_SHIFT;
    return below + (uint32_t)(frames >> KIB_SHIFT) + 1;
}

int ml_strand_resume(struct ml_hub *hub, struct ml_strand *strand)
{
    struct ml_task *task = hub->current;
    struct ml_strand *resumer = task->strand;
    int error = ml_hub_prepare_strand(hub, strand);
    if (ml_unlikely(error == -ENOMEM))
        return error;
    strand->resumer = resumer;
    set_state(strand, ML_STRAND_ACTIVE);
    if (ml_unlikely(task->depth >= ML_STRAND_WEIGHED))
        strand->coro.tag |= ml_strand_weight(hub) << ML_STRAND_WEIGHT_SHIFT;
    task->depth++;
    if (ml_unlikely(strand->scope != NULL))
        ml_scope_attach(task, strand, task->depth);
    ml_hub_go_on(hub, strand, error == 0);
    return 0;
}

/* Takes the running strand out of its task's chain; returns the next one in it. */
static inline struct ml_strand *unchain(struct ml_task *task)
{
    struct ml_strand *strand = task->strand;
    struct ml_strand *resumer = strand->resumer;
    ML_CHECK(resumer != NULL);
    if (ml_unlikely(task->scope != NULL))
        ml_scope_detach(task, strand, task->depth);
    strand->resumer = NULL;
    task->depth--;
    return resumer;
}

void ml_strand_leave(struct ml_hub *hub)
{
    struct ml_task *task = hub->current;
    set_state(task->strand, ML_STRAND_SUSPENDED);
    struct ml_strand *resumer = unchain(task);
    ml_hub_go_on(hub, resumer, ml_hub_prepare_strand(hub, resumer) == 0);
}

void ml_strand_exit(struct ml_hub *hub)
{
    struct ml_strand *ended = hub->current->strand;
    set_state(ended, ML_STRAND_UNBOUND);
    struct ml_strand *resumer = unchain(hub->current);
    ml_scope_close_held(hub, ended);
    ml_hub_end_strand(hub, resumer);
}

void ml_strand_drop(struct ml_hub *hub, struct ml_strand *strand)
{
    ml_scope_close_held(hub, strand);
    set_state(strand, ML_STRAND_UNBOUND);
    ml_coro_drop(&hub->bank, &strand->coro);
}
