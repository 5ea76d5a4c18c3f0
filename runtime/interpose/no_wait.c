#include "interpose/no_wait.h"

#include "hub/state/strand.h"

/* Forgets entries that the running stack, which now ends at `frame`, has left behind. Addresses on
 * other stacks say nothing about that. */
void ml_no_wait_unwind(struct ml_libc_calls *calls, const void *frame)
{
    const struct ml_strand *strand = calls->hub->current->strand;
    if (!ml_strand_holds(strand, frame))
        return;
    for (unsigned i = calls->no_wait.count; i > 0; i--) {
        const struct ml_no_wait *inside = &calls->no_wait.items[i - 1];
        if (inside->strand == strand && ml_strand_holds(strand, inside->frame) &&
            (uintptr_t)inside->frame <= (uintptr_t)frame)
            ml_no_wait_forget(calls, i - 1);
    }
}

static bool is_in_chain(const struct ml_task *task, const struct ml_strand *strand)
{
    const struct ml_strand *one = task->strand;
    while (one != NULL && one != strand)
        one = one->resumer;
    return one != NULL;
}

bool ml_no_wait_is_inside(struct ml_libc_calls *calls, const void *frame)
{
    const struct ml_task *task = calls->hub->current;
    bool is = false;
    if (ml_likely(calls->no_wait.count == 0))
        return false;
    ml_no_wait_unwind(calls, frame);
    for (unsigned i = 0; i < calls->no_wait.count && !is; i++)
        is = calls->no_wait.items[i].task == task->id &&
             is_in_chain(task, calls->no_wait.items[i].strand);
    return is;
}
