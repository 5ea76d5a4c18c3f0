/*
 * The metrics of all workers: a worker asks, the master asks all that serve, and gives what they
 * have answered, each a line of text, which the master does not read. A worker that computes for
 * long is left out.
 */
#ifndef ML_WORKER_FIGURES_H
#define ML_WORKER_FIGURES_H

#include "worker/master_state.h"

void ml_figures_open(struct ml_master *master);

/* Those that wait get -ECANCELED. */
void ml_figures_close(struct ml_master *master);

/* A worker wants them; one that asks while they are collected gets the same. */
void ml_figures_ask(struct ml_master *master, const struct ml_worker_process *process,
                    uint64_t request);

/* A worker has answered. The descriptor stays the caller's. */
void ml_figures_take(struct ml_master *master, struct ml_worker_process *process, uint64_t number,
                     int file);

/* Answers if all is there. Returns when to look again. */
ml_time ml_figures_turn(struct ml_master *master);

#endif
