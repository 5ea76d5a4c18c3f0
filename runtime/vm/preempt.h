/*
 * Preemption: a task that has computed for a slice lets others run at its next Lua instruction. The
 * watchdog finds it, the poke's handler decides and arms a hook, and the hook switches.
 */
#ifndef ML_VM_PREEMPT_H
#define ML_VM_PREEMPT_H

#include <stdbool.h>

struct moonlet;
struct moonlet_options;

/* Whether the values of the options are in their range. */
bool ml_preempt_is_possible(const struct moonlet_options *options);

/* Begins what the options ask for. On the runtime's own thread. 0 or a negated errno. */
int ml_preempt_open(struct moonlet *m);

#endif
