/* Removes a tree of directories: a function for ml_file_call_new(). Blocks, and runs on a worker.
 */
#ifndef ML_SYSTEM_FILE_REMOVE_H
#define ML_SYSTEM_FILE_REMOVE_H

#include "system/file/call.h"

/*
 * Removes call->path, and what is in it if it is a directory. Links are removed, not followed, also
 * those that somebody puts in a directory's place meanwhile. With an error the rest stays, and
 * call->data is the path that it is about. -EINVAL: the path ends with "." or "..", or is the root.
 * -ECANCELED: given up; the rest stays.
 */
int ml_file_remove_tree(struct ml_file_call *call);

#endif
