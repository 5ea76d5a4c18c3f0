#include "interpose/no_wait.h"

#include "hub/state/strand.h"

/* Forgets what the running stack, which goes down to `frame`, has left behind. Addresses on other
 * stacks tell nothing about that. */
void ml_inside_unwind(struct ml_foreign *f, const void *frame)
{
    const struct ml_strand *strand = f->hub->current->strand;
    if (!ml_strand_holds(strand, frame))
        return;
    for (unsigned i = f->inside_count; i > 0; i--) {
        const struct ml_inside *inside = &f->inside[i - 1];
        if (inside->strand == strand && ml_strand_holds(strand, inside->frame) &&
            (uintptr_t)inside->frame <= (uintptr_t)frame)
            ml_inside_forget(f, i - 1);
    }
}

static bool is_in_chain(const struct ml_task *task, const struct ml_strand *strand)
{
    const struct ml_strand *one = task->strand;
    while (one != NULL && one != strand)
        one = one->resumer;
    return one != NULL;
}

bool ml_is_inside(struct ml_foreign *f, const void *frame)
{
    const struct ml_task *task = f->hub->current;
    bool is = false;
    if (ml_likely(f->inside_count == 0))
        return false;
    ml_inside_unwind(f, frame);
    for (unsigned i = 0; i < f->inside_count && !is; i++)
        is = f->inside[i].task == task->id && is_in_chain(task, f->inside[i].strand);
    return is;
}
