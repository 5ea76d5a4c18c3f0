/* The state of a master as text, in memory that a program leaves to the one that follows in its
 * process. One line for each thing; descriptors are those numbers. */
#ifndef ML_WORKER_HANDOVER_STATE_H
#define ML_WORKER_HANDOVER_STATE_H

#include "worker/master_state.h"

#include <stdio.h>

/* What both programs must have in common: the form of the state, and the channel to the workers. */
enum { ML_HANDOVER_VERSION = 3 * 1000 + ML_CONTROL_VERSION };

/* Writes it. False: an error of the file. */
bool ml_handover_write(const struct ml_master *master, FILE *out);

/* Reads it into a master that has nothing yet. 0; -EPROTO; -ENOMEM. */
int ml_handover_read(struct ml_master *master, FILE *in);

/* Has all its descriptors stay open over exec(), or not. */
void ml_handover_keep(const struct ml_master *master, bool is_kept);

#endif
