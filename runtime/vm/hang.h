/*
 * What the thread of a runtime does that does not answer its inspector: by a native backtrace if it
 * computes, by the system call in which it waits if it does not.
 */
#ifndef ML_VM_HANG_H
#define ML_VM_HANG_H

struct ml_lua;

/* For struct ml_inspectors, from another thread while the runtime is open; hang: a struct ml_hang,
 * zeroed. 0. */
int ml_hang_look(struct ml_lua *lua, void *hang);

#endif
