/*
 * The runtimes of the process that are open, so that wrong use of one is an error and not a crash:
 * after it was closed, from another thread, outside of its tasks or inside of them.
 */
#ifndef ML_VM_RUNTIMES_H
#define ML_VM_RUNTIMES_H

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/lua_strand.h"
#include "vm/moonlet_state.h"

/* From the thread whose it is. 0 or -ENOMEM. */
int ml_runtimes_add(struct moonlet *m);
void ml_runtimes_remove(struct moonlet *m);

/* For what several threads touch: promises. */
void ml_runtimes_lock(void);
void ml_runtimes_unlock(void);

/* From any thread and from signal handlers: whether it is one that was not closed. */
bool ml_runtime_is_open(const struct moonlet *m);

/* 0: it is open, and this thread's; -ML_ECLOSED, -ML_ETHREAD. */
int ml_runtime_check(const struct moonlet *m);

/* 0: besides, it does not run; -ML_EINTASK, -ML_ERUNNING. -ECHILD: it is that of the process that
 * forked this one. */
int ml_runtime_check_idle(const struct moonlet *m);

/* The same for what is done in a forked process, too: closing. */
int ml_runtime_check_closable(const struct moonlet *m);

/* After something was done to tasks: brings moonlet_fd() up to date, unless what runs will do so.
 */
void ml_runtime_touched(struct moonlet *m);

/* A runtime that runs on this thread is certainly open: nothing of it need be looked at. */
static inline bool ml_runtime_runs_here(const struct moonlet *m)
{
    return m != NULL && ml_bank_current == &m->lua.hub.bank;
}

/* Of a call outside of its tasks: -ML_ENOTASK or an error of ml_runtime_check(). */
int ml_runtime_refuse_wait(const struct moonlet *m);

/* 0: a task of it runs, and makes this call; -ML_ENOTASK or an error of ml_runtime_check(). */
static inline int ml_runtime_check_task(const struct moonlet *m)
{
    bool is_in_task = ml_runtime_runs_here(m) && m->lua.hub.current != NULL;
    return ml_likely(is_in_task) ? 0 : ml_runtime_refuse_wait(m);
}

/*
 * The frame around a wait of the running task: 0, then ml_runtime_end_wait() follows; or an error
 * of ml_runtime_check_task(), or -ML_ENOWAIT.
 */
static inline int ml_runtime_begin_wait(struct moonlet *m)
{
    int error = ml_runtime_check_task(m);
    if (ml_unlikely(error != 0))
        return error;
    lua_State *L = ml_thread_of(m->lua.hub.current->strand);
    return ml_likely(ml_blocking_try(L)) ? 0 : -ML_ENOWAIT;
}

/* After -ECANCELED Lua raises once the C function that waited has returned. Gives `error` back. */
int ml_runtime_end_wait(struct moonlet *m, int error);

/* The absolute deadline of a limit in seconds: negative or NaN is ML_FOREVER, 0 ML_NEVER_WAIT. */
ml_time ml_runtime_deadline(const struct moonlet *m, double limit);

#endif
