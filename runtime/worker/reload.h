/* Reloads: a new generation of workers is started beside the old one, which drains when all of the
 * new one serve. If one of them fails, the new ones end and the old ones go on. */
#ifndef ML_WORKER_RELOAD_H
#define ML_WORKER_RELOAD_H

#include "worker/master_state.h"

/* Begins a reload, or another one after that which is under way. process, request: of the worker
 * that waits for its end, which is refused before the first generation serves; NULL, 0: none
 * waits. */
void ml_reload_begin(struct ml_master *master, struct ml_worker_process *process, uint64_t request);

/* The first generation serves: begins a reload that a signal has asked for before. */
void ml_reload_booted(struct ml_master *master);

/* Ends it if the whole new generation serves. */
void ml_reload_check(struct ml_master *master);

/* It has failed. */
void ml_reload_fail(struct ml_master *master, const char *reason);

#endif
