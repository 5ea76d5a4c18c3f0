/* The messages of workers, as the master answers them. */
#ifndef ML_WORKER_REQUESTS_H
#define ML_WORKER_REQUESTS_H

#include "worker/master_state.h"

/* Handles all that a worker has sent. False: its end of the channel is closed, or says nothing that
 * can be understood. */
bool ml_requests_serve(struct ml_master *master, struct ml_worker_process *process);

#endif
