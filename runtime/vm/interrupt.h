/* Ctrl-C and SIGTERM, and code that computes on when everything is to end. */
#ifndef ML_VM_INTERRUPT_H
#define ML_VM_INTERRUPT_H

#include "base/clock.h"

struct ml_hub;
struct ml_lua;
struct moonlet;

/* For hub.hooks.noticed. */
void ml_interrupt_noticed(struct ml_hub *hub);

/* Installs the kinds of vm/interrupt.c. Before any of its functions is called. */
void ml_interrupts_open(struct ml_lua *lua);

/* What is alive is about to unwind, and is dropped when it computes on at `end`; and that is over.
 */
void ml_unwinding_begin(struct moonlet *m, ml_time end);
void ml_unwinding_end(struct moonlet *m);

#endif
