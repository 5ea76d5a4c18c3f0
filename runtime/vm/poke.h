/*
 * Pokes: another thread has a runtime's thread do something where it computes. A signal interrupts
 * that thread. Its handler arms hooks on the code that runs, so that something happens at the next
 * Lua instruction, and takes a native backtrace. Knows no meaning of a hook.
 *
 * The handler finds only what runs. A request that other tasks may serve as well needs
 * ml_hub_notify(), too: if the running task waits before its next instruction, nothing is armed.
 *
 * A system call that the signal interrupts is restarted where the kernel can do that (SA_RESTART).
 * It cannot for poll() and sleeps. So a thread that waits in the kernel gets no signal: send it
 * only if the thread's CPU clock goes on.
 */
#ifndef ML_VM_POKE_H
#define ML_VM_POKE_H

#include "base/clock.h"
#include "bindings/core/hook_records.h"
#include "vm/watch_state.h"

#include <signal.h>

struct moonlet;
struct moonlet_options;
struct ml_task;

enum { ML_POKE_LOOK = 1u << 31 };

/* Makes pokes possible; harmless if they are. On the runtime's own thread. 0 or a negated errno;
 * -ENOTSUP: the host wants no signal. */
int ml_poke_open(struct moonlet *m);

/* Takes the signal of a runtime with these options out of the set of those that its thread blocks.
 */
void ml_poke_unblock(const struct moonlet_options *options, sigset_t *mask);

/* On the runtime's own thread, when no other thread pokes it any more. */
void ml_poke_close(struct moonlet *m);

/* The functions below are for any thread, while the runtime is open and pokes are possible. */

/* What the runtime's thread has computed; -1: it has ended. */
ml_time ml_poke_cpu_time(const struct moonlet *m);

/*
 * The hook of that kind, which is installed, is in force at the next Lua instruction of the running
 * task, if one runs. Its owner takes it back (ml_hooks_unshare()). 0;
 *
 * - -EAGAIN: the thread does not compute now. It waits in the kernel, or for a processor;
 * - -ESRCH: it has ended.
 *
 * Takes 100 us, in which it finds out whether the thread computes.
 */
int ml_poke(struct moonlet *m, enum ml_hook_reason reason);

/* Sends the signal, whether or not the thread computes. due: as above. 0 or a negated errno. */
int ml_poke_send(struct moonlet *m, unsigned due);

/*
 * Where the thread's machine code runs: return addresses, the innermost first, without those of the
 * handler. How many; 0: there was none at the deadline; errors of ml_poke().
 */
int ml_poke_backtrace(struct moonlet *m, void **frames, int most, ml_time deadline);

/* For `look`: the hook of that kind is in force at the next Lua instruction of the running task. */
void ml_poke_arm(struct moonlet *m, struct ml_task *task, enum ml_hook_reason reason);

#endif
