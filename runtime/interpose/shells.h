/* Commands that system() runs in tasks. What SIGINT and SIGQUIT do is left alone: they belong to
 * the whole program. */
#ifndef ML_INTERPOSE_SHELLS_H
#define ML_INTERPOSE_SHELLS_H

#include "interpose/state.h"

/* Before the first of them. */
void ml_shells_init(struct ml_libc_calls *calls);

/* Whether the task runs one. From signal handlers, too. */
bool ml_shells_has(const struct ml_libc_calls *calls, const struct ml_task *task);

/* Kills those whose tasks were dropped. */
void ml_shells_release(struct ml_libc_calls *calls);

#endif
