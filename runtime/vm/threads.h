/*
 * Threads with runtimes of their own, for moonlet.thread. A runtime's threads are its crew: it asks
 * them to end when it is closed, and waits for them for a while.
 */
#ifndef ML_VM_THREADS_H
#define ML_VM_THREADS_H

#include "bindings/thread/runtimes.h"

struct moonlet;

/* Installed as lua->os_threads.runtimes. */
extern const struct ml_thread_runtimes ml_thread_runtimes;

/* Asks the threads of a runtime to end, and waits until they have, at most as long as tasks have to
 * unwind. One that still runs C code then is left alone. */
void ml_threads_end(struct moonlet *m);

/* Calls the host's callbacks for reports and warnings of threads. For hub.hooks.noticed. */
void ml_threads_notice(struct moonlet *m);

/* The name of the thread whose runtime it is; NULL for NULL. */
const char *ml_worker_name(const struct ml_worker *worker);

#endif
