/* What the master does because it is time: restarts, deadlines of workers, replacements. */
#ifndef ML_WORKER_CLOCKWORK_H
#define ML_WORKER_CLOCKWORK_H

#include "worker/master_state.h"

/* Does all that is due at master->now. Returns when the next thing is; ML_FOREVER: never. */
ml_time ml_clockwork_turn(struct ml_master *master);

/* The master has not run for so long: no worker is to blame for that time. */
void ml_clockwork_forgive(struct ml_master *master, ml_time span);

#endif
