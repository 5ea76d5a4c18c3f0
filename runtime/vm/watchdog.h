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
 * From now on the runtime is watched, with that limit: poke.look is called on its thread, between a
 * fifth before and the limit after a task began to run. While the task goes on it is called again,
 * not before look_at. For a runtime that is watched already: the limit changes. On the runtime's
 * own thread, with pokes opened. 0 or a negated errno.
 */
int ml_watch(struct moonlet *m, ml_time limit);

/* The runtime is not watched any more: the watchdog does not touch it after this. On its own
 * thread. */
void ml_watch_end(struct moonlet *m);

/* For poke.look: whether the running task is the one that the watchdog has poked for. *since: when
 * it was first seen to run; *computed: what it has computed since. */
bool ml_watch_sees(const struct moonlet *m, ml_time *since, ml_time *computed);

/* When a task that was first seen at `since`, and has run for up to a round before, is to be looked
 * at so that the look comes within the limit. */
ml_time ml_watch_due(const struct moonlet *m, ml_time since, ml_time limit);

/* Wakes the watchdog: a task runs. For hub.hooks.roused. */
void ml_watch_rouse(struct ml_hub *hub);

#endif
