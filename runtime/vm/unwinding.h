/* The end of the tasks that are left when a program ends. */
#ifndef ML_VM_UNWINDING_H
#define ML_VM_UNWINDING_H

struct moonlet;

/* Warns of the daemons that still wait when the program has ended. */
void ml_warn_of_parked(struct moonlet *m);

/* Cancels every task that is left and waits for them to unwind; tasks that do not are dropped. */
void ml_unwind_all(struct moonlet *m);

#endif
