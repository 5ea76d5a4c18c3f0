/*
 * Calls that run in a runtime of their own, on a thread of their own. How a runtime is opened, and
 * how a thread is started and ended, is installed by vm/ (lua->os_threads.runtimes).
 */
#ifndef ML_BINDINGS_THREAD_RUNTIMES_H
#define ML_BINDINGS_THREAD_RUNTIMES_H

#include "bindings/thread/parcel.h"

#include <stdatomic.h>

struct ml_lua;
struct ml_worker;

enum { ML_THREAD_NAME = 64 };

/* A call. The task that waits for its end and the thread both own it. */
struct ml_thread_call {
    atomic_uint owners;
    struct ml_parcel *settings;     /* what the runtime inherits of the script's; see settings.c */
    struct ml_parcel *task;         /* a function, or "module.function", and its arguments */
    struct ml_parcel *outcome;      /* the thread's, until it is put into `done` */
    struct ml_thread_channel *done; /* gets the outcome; closed without: there is none */
    size_t memory_limit;            /* of its Lua state, in bytes; 0: none of its own */
    char name[ML_THREAD_NAME];
    int error; /* why no runtime could be opened, negated; written before `done` is closed */
    atomic_bool has_told;     /* an error of a task there was reported */
    struct ml_worker *worker; /* vm/threads.c; under its lock */
};

void ml_thread_call_release(struct ml_thread_call *call);

struct ml_thread_runtimes {
    /* Starts a thread that opens a runtime, runs ml_thread_main() as its main task and puts the
     * outcome into call->done. 0 or a negated errno. */
    int (*start)(struct ml_lua *lua, struct ml_thread_call *call);
    /* Asks the thread to end, also while it computes. */
    void (*cancel)(struct ml_lua *lua, struct ml_thread_call *call);
    /* Hands over to the host what the threads have reported so far. */
    void (*take_reports)(struct ml_lua *lua);
};

/* The main task of such a runtime: a lua_CFunction. Packs an outcome. */
int ml_thread_main(lua_State *L);

/* Its message handler. Stack: the error -> {value, traceback}; a cancellation stays as it is. */
int ml_thread_keep_error(lua_State *L);

/* Calls the function of the call's parcel, which is released before, with its arguments. Replaces
 * the stack by the results; their count. Raises. */
int ml_thread_carry_out(lua_State *L, struct ml_thread_call *call);

/* The outcome of a call that ended without one: text is the error. NULL: no memory. */
struct ml_parcel *ml_thread_outcome_of_text(lua_State *L, const char *text);

#endif
