/* The life of a hub: opened by its thread, closed when no task is alive, abandoned in a forked
 * child. */
#ifndef ML_HUB_LOOP_LIFE_H
#define ML_HUB_LOOP_LIFE_H

#include "hub/state/hub.h"

/* pool, stacks, stack_size: see ml_bank_init(). 0 or a negated errno. */
int ml_hub_init(struct ml_hub *hub, struct ml_pool *pool, unsigned stacks, size_t stack_size);

/* Frees all; no task is alive any more. */
void ml_hub_release(struct ml_hub *hub);

/* This process is a child that was forked while `hub` existed: its loop must not be used, since it
 * is the parent's, too. */
void ml_hub_forked(struct ml_hub *hub);

#endif
