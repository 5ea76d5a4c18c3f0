/* The runtime's side of its promises (vm/promise.c). */
#ifndef ML_VM_PROMISE_H
#define ML_VM_PROMISE_H

struct moonlet;

/* Wakes the tasks that wait for promises that other threads have kept. On the runtime's thread. */
void ml_promises_deliver(struct moonlet *m);

/* The runtime is closed: its promises outlive it. No task is alive any more. */
void ml_promises_detach(struct moonlet *m);

#endif
