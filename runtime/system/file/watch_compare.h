/* Listings of directories: asked for, and compared with the picture row by row. */
#ifndef ML_SYSTEM_FILE_WATCH_COMPARE_H
#define ML_SYSTEM_FILE_WATCH_COMPARE_H

#include "system/file/watch_state.h"

/* Compares one row. ML_STEP_NONE: there is no listing, or a worker is still at it. Errors as
 * ml_file_watch_next(). */
int ml_watch_step_compare(struct ml_file_watch *w);

/* Has a worker list directories. ML_STEP_NONE: it does, or none are to be listed. -ENOMEM, -EAGAIN:
 * as ml_offload_start(). */
int ml_watch_step_scan(struct ml_file_watch *w);

#endif
