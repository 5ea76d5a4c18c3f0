/* The places for workers: which process serves in each, when one is started, and what happens when
 * it is ready or has ended. */
#ifndef ML_WORKER_PLACES_H
#define ML_WORKER_PLACES_H

#include "worker/master_state.h"

/* Adds a place, the next number, and has its worker started. 0 or -ENOMEM. */
int ml_places_add(struct ml_master *master);

/* Removes the last place; its worker drains. The first one stays. */
void ml_places_remove(struct ml_master *master);

/* Frees them all. */
void ml_places_release(struct ml_master *master);

/* Starts the worker of a place. */
void ml_place_start(struct ml_master *master, struct ml_worker_slot *slot);

/* A process serves from now on. */
void ml_place_ready(struct ml_master *master, struct ml_worker_process *process);

/* A process has ended, with a status as of waitpid(). Frees it. */
void ml_place_ended(struct ml_master *master, struct ml_worker_process *process, int status);

/* All workers are told to drain, none is started any more. The second time they are killed. */
void ml_places_stop(struct ml_master *master, bool is_at_once);

#endif
