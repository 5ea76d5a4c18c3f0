/* Reports about tasks, in words. */
#ifndef ML_VM_OVERRUN_REPORT_H
#define ML_VM_OVERRUN_REPORT_H

#include <lua.h>
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

/* Writes the innermost calls of L to standard error, a line for each. For signal handlers, while
 * the Lua state is at rest: allocates nothing. */
void ml_lua_frames_say(lua_State *L);

/* Reports the C stack that overflowed; runs in the signal handler (coro/overflow.h). */
void ml_overflow_tell(struct ml_bank *bank);

#endif
