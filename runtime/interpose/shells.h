/* Commands that system() runs in tasks. The handling of SIGINT and SIGQUIT stays as it is: it
 * belongs to the whole program. */
#ifndef ML_INTERPOSE_SHELLS_H
#define ML_INTERPOSE_SHELLS_H

#include "interpose/state.h"

/* Call before the first command. */
void ml_shells_init(struct ml_libc_calls *calls);

/* Whether the task runs a command. Also for signal handlers. */
bool ml_shells_has(const struct ml_libc_calls *calls, const struct ml_task *task);

/* Kills the shells of dropped tasks. */
void ml_shells_release(struct ml_libc_calls *calls);

#endif
