/*
 * The metrics of all workers: a worker asks, the master asks all that serve, and gives what they
 * have answered, each a line of text, which the master does not read. A worker that computes for
 * long is left out. Of each worker the master keeps the last line, also when it is gone, so that
 * sums over workers do not fall.
 */
#ifndef ML_WORKER_FIGURES_H
#define ML_WORKER_FIGURES_H

#include "worker/master_state.h"

void ml_figures_open(struct ml_master *master);

/* Those that wait get -ECANCELED. Lines stay. */
void ml_figures_cancel(struct ml_master *master);

/* The same, and lines of workers that are gone are freed. */
void ml_figures_close(struct ml_master *master);

/* A worker wants them; one that asks while they are collected gets the same. */
void ml_figures_ask(struct ml_master *master, const struct ml_worker_process *process,
                    uint64_t request);

/* A worker has answered, or says them before it ends. The descriptor stays the caller's. */
void ml_figures_take(struct ml_master *master, struct ml_worker_process *process, uint64_t number,
                     int file);

/* A worker is gone: its last line goes to those of others. */
void ml_figures_retire(struct ml_master *master, struct ml_worker_process *process);

/* A worker has made one line of those of workers that are gone, which takes their place unless
 * another worker was faster. The descriptor stays the caller's. */
void ml_figures_put_together(struct ml_master *master, const struct ml_control_figures *of,
                             int file);

/* Answers if all is there. Returns when to look again. */
ml_time ml_figures_turn(struct ml_master *master);

#endif
