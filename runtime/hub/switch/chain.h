/*
 * The strands of a task as a chain: the running one resumes another, leaves, ends. Knows no Lua and
 * none of the values that travel between strands.
 */
#ifndef ML_HUB_SWITCH_CHAIN_H
#define ML_HUB_SWITCH_CHAIN_H

#include "hub/state/strand.h"

/*
 * The running strand resumes `strand`. If that is unbound it begins with hub->hooks.strand_body,
 * otherwise it is suspended and goes on. Returns once it has left or ended. 0, or -ENOMEM with
 * nothing done.
 */
int ml_strand_resume(struct ml_hub *hub, struct ml_strand *strand);

/* KiB of C frames that the running strand and those below it in the chain hold, without the first
 * ML_STRAND_WEIGHED. */
uint32_t ml_strand_weight(const struct ml_hub *hub);

/* The running strand, which is no body, goes back to its resumer; returns when it is resumed again.
 */
void ml_strand_leave(struct ml_hub *hub);

/* The running strand, which is no body, has ended: goes on with its resumer. Returns, if at all, in
 * another strand that begins. */
void ml_strand_exit(struct ml_hub *hub);

/* Forgets the frames of a suspended strand and closes the scopes that it holds. */
void ml_strand_drop(struct ml_hub *hub, struct ml_strand *strand);

#endif
