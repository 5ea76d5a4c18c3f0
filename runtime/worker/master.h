/*
 * The master of workers: starts processes of the program that it is itself, gives them the sockets
 * that they share, and watches over them. Runs no code of users.
 */
#ifndef ML_WORKER_MASTER_H
#define ML_WORKER_MASTER_H

#include "worker/master_options.h"

/*
 * Runs until it is stopped by SIGTERM, SIGINT or a worker, or the first boot has failed. The
 * calling thread blocks the signals that are for it, and the process should have no other one.
 * *status: for the process to exit with. 0 or a negated errno: it could not begin.
 */
int ml_master_run(const struct ml_master_options *options, int *status);

#endif
