/* The processes of workers, as the master has them: start, signals, end. Knows no reload. */
#ifndef ML_WORKER_WORKER_PROCESS_H
#define ML_WORKER_WORKER_PROCESS_H

#include "worker/master_state.h"

/* Starts a worker for the place. NULL, with *error a negated errno: there is none. */
struct ml_worker_process *ml_process_start(struct ml_master *master, struct ml_worker_slot *slot,
                                           uint32_t generation, int *error);

/* Tells it to stop serving and to end; the kernel ends it after the grace. Once. reason: static,
 * NULL without one. */
void ml_process_drain(struct ml_master *master, struct ml_worker_process *process,
                      const char *reason, bool others_serve);

/* Ends it now, with SIGTERM and soon SIGKILL: it serves nothing that must be finished. */
void ml_process_end(struct ml_master *master, struct ml_worker_process *process,
                    const char *reason);

/* SIGKILL. */
void ml_process_kill(struct ml_worker_process *process);

/* Sends a notice, or a reply if `request` is not 0. A worker that takes no more messages is killed.
 * 0 or a negated errno, -EPIPE if the worker has ended. */
int ml_process_send(struct ml_worker_process *process, enum ml_control_type type, uint64_t request,
                    int error, const void *payload, size_t size, int fd);

/* Sends it a signal. */
void ml_process_signal(struct ml_worker_process *process, int number);

/* Waits for it if it has ended: true, with *status as waitpid() has it. */
bool ml_process_reap(struct ml_worker_process *process, int *status);

/* Frees it. */
void ml_process_free(struct ml_master *master, struct ml_worker_process *process);

#endif
