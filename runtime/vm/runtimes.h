/*
 * The runtimes of the process that are open, so that wrong use of one is an error and not a crash: after it was
 * closed, from another thread, outside of its tasks or inside of them.
 */
#ifndef ML_VM_RUNTIMES_H
#define ML_VM_RUNTIMES_H

#include "vm/moonlet_state.h"

void ml_runtimes_add(struct moonlet *m);
void ml_runtimes_remove(struct moonlet *m);

/* For what several threads touch: promises. */
void ml_runtimes_lock(void);
void ml_runtimes_unlock(void);

/* 0: it is open, and this thread's; -ML_ECLOSED, -ML_ETHREAD. */
int ml_runtime_check(const struct moonlet *m);

/* 0: besides, it does not run; -ML_EINTASK, -ML_ERUNNING. -ECHILD: it is that of the process that forked this one. */
int ml_runtime_check_idle(const struct moonlet *m);

/* The same for what is done in a forked process, too: closing. */
int ml_runtime_check_closable(const struct moonlet *m);

/* After something was done to tasks: brings moonlet_fd() up to date, unless what runs will do so. */
void ml_runtime_touched(struct moonlet *m);

/* 0: a task of it runs, and makes this call; -ML_ENOTASK or an error of ml_runtime_check(). */
int ml_runtime_check_task(const struct moonlet *m);

/*
 * The frame around a wait of the running task: 0, then ml_runtime_end_wait() follows; or an error of
 * ml_runtime_check_task(), or -ML_ENOWAIT.
 */
int ml_runtime_begin_wait(struct moonlet *m);

/* After -ECANCELED Lua raises once the C function that waited has returned. Gives `error` back. */
int ml_runtime_end_wait(struct moonlet *m, int error);

/* The absolute deadline of a limit in seconds: negative or NaN is ML_FOREVER, 0 ML_NEVER_WAIT. */
ml_time ml_runtime_deadline(const struct moonlet *m, double limit);

#endif
