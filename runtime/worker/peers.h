/* Introduces workers to each other: each of two gets one end of a socket pair. */
#ifndef ML_WORKER_PEERS_H
#define ML_WORKER_PEERS_H

#include "worker/master_state.h"

/* A worker asks for a connection to another one: the one of that generation in that place, or the
 * one that serves there now; answers. Errors: ESRCH: there is no such place; EPIPE: nobody is
 * there. */
void ml_peers_connect(struct ml_master *master, struct ml_worker_process *process,
                      const struct ml_control_peer *asked, uint64_t request);

/* Tells all workers, also the one itself, that one has come; or the others that it is gone. */
void ml_peers_tell(struct ml_master *master, enum ml_control_type type,
                   const struct ml_worker_process *about);

#endif
