/* The report when no task can go on. */
#ifndef ML_VM_DEADLOCK_H
#define ML_VM_DEADLOCK_H

struct moonlet;

/* Reports the tasks that no event can wake. */
void ml_deadlock_report(struct moonlet *m);

#endif
