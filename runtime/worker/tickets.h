/*
 * The secrets of TLS session tickets, which all workers have and nobody else. A new one comes at
 * regular times. Each is known to the workers one such time before it encrypts, so that no worker
 * meets a ticket that it cannot read, and one such time after.
 */
#ifndef ML_WORKER_TICKETS_H
#define ML_WORKER_TICKETS_H

#include "worker/master_state.h"

/* Makes the first ones. 0 or a negated errno. */
int ml_tickets_open(struct ml_master *master);

/* Changes them if it is time, and tells the workers. Returns the next time. */
ml_time ml_tickets_turn(struct ml_master *master);

#endif
