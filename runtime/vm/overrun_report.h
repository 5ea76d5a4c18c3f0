/* Reports about tasks, in words. */
#ifndef ML_VM_OVERRUN_REPORT_H
#define ML_VM_OVERRUN_REPORT_H

#include <stddef.h>

struct ml_bank;
struct ml_task;
struct moonlet;

enum { ML_TASK_TEXT = 256 };

/* Begins a sentence about a task, with its number and where it was spawned. Returns the length so
 * far. */
size_t ml_task_text(char text[ML_TASK_TEXT], const struct moonlet *m, struct ml_task *task);

/* Reports that a task did not end in the time it has to unwind. */
void ml_tell_overrun(struct moonlet *m, struct ml_task *task);

/* Reports the C stack that overflowed; runs in the signal handler (coro/overflow.h). */
void ml_overflow_tell(struct ml_bank *bank);

#endif
