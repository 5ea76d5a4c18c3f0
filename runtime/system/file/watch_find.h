/* Finds the directory for a watch: the path's own, or that of a file. */
#ifndef ML_SYSTEM_FILE_WATCH_FIND_H
#define ML_SYSTEM_FILE_WATCH_FIND_H

#include "hub/state/hub.h"

struct ml_watch_root {
    char *base; /* malloc'd: absolute, without links; "" for "/" */
    char *only; /* malloc'd: the name of a file there; NULL: `path` is a directory */
};

/*
 * Follows the links in `path` on a worker, while the task waits. 0; an error of stat(), as -ENOENT;
 * or of ml_offload().
 */
int ml_watch_find(struct ml_hub *hub, const char *path, struct ml_watch_root *root);

#endif
