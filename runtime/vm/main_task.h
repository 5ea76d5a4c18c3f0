/* The task of a program's main chunk. */
#ifndef ML_VM_MAIN_TASK_H
#define ML_VM_MAIN_TASK_H

struct moonlet;

/* Begins a new run: makes the task. 0 or -ENOMEM. */
int ml_program_start(struct moonlet *m);

/* The exit status of a program, by the result of its run: 0, -EDEADLK, or another error of the hub.
 */
int ml_program_status(const struct moonlet *m, int result);

#endif
