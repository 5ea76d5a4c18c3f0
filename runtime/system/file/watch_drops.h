/*
 * Directories that the kernel is to watch no more. A few are dropped at once; for many, as at the
 * close of a watch of a large tree, a worker does it, since each takes the kernel a microsecond.
 */
#ifndef ML_SYSTEM_FILE_WATCH_DROPS_H
#define ML_SYSTEM_FILE_WATCH_DROPS_H

#include "hub/on/offload.h"

struct ml_watch_kernel;

/* So many, or fewer, are dropped at once. */
enum { ML_WATCH_FEW = 64 };

struct ml_watch_drops {
    struct ml_job job;
    struct ml_watch_kernel *kernel;
    bool is_done;
    size_t count;
    int wds[]; /* watch descriptors */
};

/* With room for `room` descriptors; NULL if they are few, or there is no memory. */
struct ml_watch_drops *ml_watch_drops_new(struct ml_watch_kernel *kernel, size_t room);

/* Has a worker drop them, or does it here if there is none. Frees it. NULL is allowed. */
void ml_watch_drops_start(struct ml_watch_drops *drops, struct ml_hub *hub);

#endif
