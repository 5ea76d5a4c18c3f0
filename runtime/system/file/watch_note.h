/* What the kernel reports of a watched directory, applied to the picture. */
#ifndef ML_SYSTEM_FILE_WATCH_NOTE_H
#define ML_SYSTEM_FILE_WATCH_NOTE_H

#include "system/file/watch_state.h"

/* Applies one note. ML_STEP_NONE: there is none, or it waits for the second half of a rename, until
 * w->again at most. */
int ml_watch_step_note(struct ml_file_watch *w);

#endif
