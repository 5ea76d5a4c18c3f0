/* One place for a worker, and the process that is to replace the one that serves there. */
#ifndef ML_WORKER_SLOTS_H
#define ML_WORKER_SLOTS_H

#include "worker/master_state.h"

/* Starts a process that is to replace the one that serves there. 0 or a negated errno. */
int ml_slot_start_next(struct ml_master *master, struct ml_worker_slot *slot, uint32_t generation);

/* The process that was to replace serves; the one before drains. */
void ml_slot_swap(struct ml_master *master, struct ml_worker_slot *slot, const char *reason,
                  bool others_serve);

#endif
