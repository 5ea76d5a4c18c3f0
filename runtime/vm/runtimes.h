/*
 * The open runtimes of the process. By this list wrong use of a runtime is an error and not a
 * crash: after it was closed, from another thread, outside of its tasks or inside of them.
 */
#ifndef ML_VM_RUNTIMES_H
#define ML_VM_RUNTIMES_H

#include "base/error.h"
#include "bindings/core/blocking.h"
#include "bindings/core/lua_strand.h"
#include "vm/moonlet_state.h"

/* To be called on the runtime's own thread. 0 or -ENOMEM. */
int ml_runtimes_add(struct moonlet *m);
void ml_runtimes_remove(struct moonlet *m);

/* Protects what several threads use: promises. */
void ml_runtimes_lock(void);
void ml_runtimes_unlock(void);

/* Whether it is a runtime that was not closed. From any thread and from signal handlers. */
bool ml_runtime_is_open(const struct moonlet *m);

/* 0: it is open, and this thread's; -ML_ECLOSED, -ML_ETHREAD. */
int ml_runtime_check(const struct moonlet *m);

/* 0: as above, and it does not run; -ML_EINTASK, -ML_ERUNNING; -ECHILD: it belongs to the parent of
 * this process. */
int ml_runtime_check_idle(const struct moonlet *m);

/* The same for closing, which is allowed in a forked process, too. */
int ml_runtime_check_closable(const struct moonlet *m);

/* To be called after tasks were changed: brings moonlet_fd() up to date, unless a running step will
 * do so. */
void ml_runtime_touched(struct moonlet *m);

/* Whether it runs on this thread. Then it is certainly open, and needs no look at the list. */
static inline bool ml_runtime_runs_here(const struct moonlet *m)
{
    return m != NULL && ml_bank_current == &m->lua.hub.bank;
}

/* The error of a call outside of its tasks: -ML_ENOTASK or an error of ml_runtime_check(). */
int ml_runtime_refuse_wait(const struct moonlet *m);

/* 0: the caller is a task of it; -ML_ENOTASK or an error of ml_runtime_check(). */
static inline int ml_runtime_check_task(const struct moonlet *m)
{
    bool is_in_task = ml_runtime_runs_here(m) && m->lua.hub.current != NULL;
    return ml_likely(is_in_task) ? 0 : ml_runtime_refuse_wait(m);
}

/*
 * Begins a wait of the running task. 0: ml_runtime_end_wait() must follow; or an error of
 * ml_runtime_check_task(), or -ML_ENOWAIT.
 */
static inline int ml_runtime_begin_wait(struct moonlet *m)
{
    int error = ml_runtime_check_task(m);
    if (ml_unlikely(error != 0))
        return error;
    lua_State *L = ml_thread_of(m->lua.hub.current->strand);
    return ml_likely(ml_blocking_try(L)) ? 0 : -ML_ENOWAIT;
}

/* After -ECANCELED Lua raises once the C function that waited has returned. Returns `error`. */
int ml_runtime_end_wait(struct moonlet *m, int error);

/* The absolute deadline of a limit in seconds: negative or NaN is ML_FOREVER, 0 ML_NEVER_WAIT. */
ml_time ml_runtime_deadline(const struct moonlet *m, double limit);

#endif
