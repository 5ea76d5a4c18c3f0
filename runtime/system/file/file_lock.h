/* Locks on open files, as flock(2): held by a file object, in the name of a task. */
#ifndef ML_SYSTEM_FILE_FILE_LOCK_H
#define ML_SYSTEM_FILE_FILE_LOCK_H

#include "base/clock.h"
#include "system/file/file_state.h"

/*
 * Locks the whole file for the running task: other programs, and other file objects, wait. 0;
 * -ETIMEDOUT; -ML_ELOCKED: the task itself holds the lock that is in the way, by this file object
 * or by another one; or another error. May wait, by trying again and again: the kernel does not
 * report when a lock becomes free.
 */
int ml_file_lock(struct ml_file *file, bool is_shared, ml_time deadline);

/* Never waits. */
void ml_file_unlock(struct ml_file *file);

#endif
