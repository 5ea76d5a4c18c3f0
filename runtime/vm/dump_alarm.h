/*
 * The alarm of a dump: if no instruction of Lua code and no switch has made the dump that was asked
 * for in time, a signal comes to the runtime's thread, and its handler tells which C function keeps
 * it. Knows nothing of what a dump says.
 */
#ifndef ML_VM_DUMP_ALARM_H
#define ML_VM_DUMP_ALARM_H

#include "base/clock.h"

struct ml_task;
struct moonlet;

/* A C function that keeps the thread for so long is told. */
#define ML_DUMP_ALARM (100 * ML_MILLISECOND)

/* A dump is asked for: sets the alarm, if pokes are possible. From any thread and from signal
 * handlers. */
void ml_dump_alarm_set(struct moonlet *m);

/* The dump is made, or not wanted any more. The same. */
void ml_dump_alarm_end(struct moonlet *m);

/* In the handler of a poke, while that task runs: writes to standard error which C function keeps
 * the thread, if the alarm is due. Once for each that was set. */
void ml_dump_alarm_ring(struct moonlet *m, struct ml_task *task);

#endif
