/*
 * The watchdog: one thread of the process that finds runtimes whose running task keeps its thread
 * for longer than a limit, and pokes them (vm/poke.h). Knows no meaning of a limit.
 *
 * It looks at what a switch writes anyway (hub->current, hub->pace), so that a switch costs nothing
 * more: a task whose sight has not changed between two rounds has kept the thread. It sleeps while
 * no runtime has a task that runs; the hub rouses it.
 */
#ifndef ML_VM_WATCHDOG_H
#define ML_VM_WATCHDOG_H

#include "base/clock.h"

#include <stdbool.h>

struct moonlet;
struct ml_hub;

/*
 * From now on the runtime is watched, with that limit: poke.look is called on its thread when a
 * task has run for half of the limit at least, and for the limit at most; after a preemption, for
 * the limit. While the task goes on it is called again, not before look_at. For a runtime that is
 * watched already: the limit changes. On the runtime's own thread, with pokes opened. 0 or a
 * negated errno.
 */
int ml_watch(struct moonlet *m, ml_time limit);

/* The runtime is not watched any more: the watchdog does not touch it after this. On its own
 * thread. */
void ml_watch_end(struct moonlet *m);

/* For poke.look: whether the running task is the one that the watchdog has poked for. *since: it
 * began to run then, or a little later; *computed: what it has computed since it was seen first. */
bool ml_watch_sees(const struct moonlet *m, ml_time *since, ml_time *computed);

/* When a task that began at `since` is to be looked at so that the look comes within the limit. */
ml_time ml_watch_due(ml_time since, ml_time limit);

/* On the runtime's own thread: the running task is preempted now; it was not to be left where it
 * stood, and is to be looked at again soon. */
void ml_watch_passed(struct moonlet *m);
void ml_watch_again(struct moonlet *m);

/* Wakes the watchdog: a task runs. For hub.hooks.roused. */
void ml_watch_rouse(struct ml_hub *hub);

#endif
