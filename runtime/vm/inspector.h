/*
 * The inspector's thread: it opens a runtime of its own, in which the Lua module
 * moonlet.inspector.server serves, and asks the inspected runtime through a wire
 * (bindings/inspect/wire.h).
 */
#ifndef ML_VM_INSPECTOR_H
#define ML_VM_INSPECTOR_H

#include "bindings/inspect/inspector.h"

struct moonlet;

/* Installed as lua->inspect.inspectors. */
extern const struct ml_inspectors ml_inspectors;

/* The runtime is being closed: its inspector tells its clients and ends. Waits for that, but not
 * long: a thread that does not end is left alone. */
void ml_inspector_end(struct moonlet *m);

#endif
