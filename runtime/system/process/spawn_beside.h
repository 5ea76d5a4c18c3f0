/*
 * Starting a program whose file is not in memory: the thread that starts it stands still until the
 * kernel has found the file and read its begin. So a worker does it, where that may take long.
 */
#ifndef ML_SYSTEM_PROCESS_SPAWN_BESIDE_H
#define ML_SYSTEM_PROCESS_SPAWN_BESIDE_H

#include "hub/state/hub.h"
#include "system/file/quick.h"
#include "system/process/spawn.h"

/*
 * As ml_spawn(): at once if the kernel finds the program in memory, on a disk that asks no server,
 * or if no task may wait; else the running task waits. -ECANCELED, or another error of
 * ml_offload(): there is no process; a worker that is still at it kills the one that it makes.
 */
int ml_spawn_beside(struct ml_hub *hub, struct ml_disks *disks, const struct ml_spawn *what,
                    struct ml_spawned *child);

#endif
