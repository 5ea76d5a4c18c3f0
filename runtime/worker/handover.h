/*
 * A new binary in place of the one that runs the master: the same process goes on with it, and with
 * its workers, sockets and memory. The new program is asked first whether it can.
 */
#ifndef ML_WORKER_HANDOVER_H
#define ML_WORKER_HANDOVER_H

#include "worker/master_state.h"

/* The program's option by which it is asked, with ML_HANDOVER_VERSION behind it. */
#define ML_HANDOVER_OPTION "--check-handover="

/* Whether the arguments ask for the check; *status: the answer. */
bool ml_handover_is_check(char *const *arguments, int *status);

/* Remembers where the program's file is, before anything changes the directory. */
void ml_handover_open(struct ml_master *master);
void ml_handover_close(struct ml_master *master);

/* Starts the check. Once the new program has agreed, ml_handover_turn() does not return. */
void ml_handover_begin(struct ml_master *master);

/* Looks whether the check has ended. Returns when to look again; ML_FOREVER: none is under way. */
ml_time ml_handover_turn(struct ml_master *master);

/* In the new program: takes over what the old one has left. 1; 0: there is nothing; or a negated
 * errno. */
int ml_handover_take(struct ml_master *master);

#endif
