/*
 * A branch: what a greenlet is to the hub. It is one strand with all those that it resumed. They
 * leave off together when another branch takes their place on top of the task's root chain, and go
 * on together. Knows no parents and no values.
 */
#ifndef ML_HUB_SWITCH_BRANCH_H
#define ML_HUB_SWITCH_BRANCH_H

#include "hub/state/strand.h"

struct ml_branch {
    struct ml_strand
        *bottom;           /* the strand that it began with; rests on the root chain when it runs */
    struct ml_strand *top; /* while suspended: the one that goes on */
    uint16_t height;       /* while suspended: strands above the bottom */
    uint16_t root_depth;   /* while it runs: depth of the root's innermost strand */
};

/*
 * The running branch `from` leaves off and `to` goes on, or begins; NULL stands for the task's
 * root. Returns at a switch back. 0, or -ENOMEM with nothing done.
 */
int ml_branch_switch(struct ml_hub *hub, struct ml_branch *from, struct ml_branch *to);

/* The running branch `from`, of which the bottom runs, has ended: `to`, or the root, goes on or
 * begins. Returns, if at all, in another strand that begins. */
void ml_branch_exit(struct ml_hub *hub, struct ml_branch *from, struct ml_branch *to);

/* Forgets the frames of a suspended branch. */
void ml_branch_drop(struct ml_hub *hub, struct ml_branch *branch);

#endif
