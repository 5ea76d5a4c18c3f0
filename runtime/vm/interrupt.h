/* Ctrl-C and SIGTERM, and code that computes on at the end of the program. */
#ifndef ML_VM_INTERRUPT_H
#define ML_VM_INTERRUPT_H

#include "base/clock.h"

struct ml_hub;
struct ml_lua;
struct moonlet;

/* For hub.hooks.noticed. */
void ml_interrupt_noticed(struct ml_hub *hub);

/* Has the running code look at an interrupt that another thread has made: for a signal handler on
 * the runtime's own thread. */
void ml_interrupt_arrived(void);

/* Installs the hooks of vm/interrupt.c. To be called before any other function here. */
void ml_interrupts_open(struct ml_lua *lua);

/* The begin and the end of unwinding: a task that still computes at `end` is dropped. */
void ml_unwinding_begin(struct moonlet *m, ml_time end);
void ml_unwinding_end(struct moonlet *m);

#endif
