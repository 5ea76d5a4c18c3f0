/* Opens files (system/file/file.h). */
#ifndef ML_SYSTEM_FILE_OPEN_H
#define ML_SYSTEM_FILE_OPEN_H

#include "system/file/file_state.h"
#include "system/file/quick.h"

/* Opens a closed file. flags: those of open(). A FIFO waits for its other end. `disks` may be
 * looked up, and learns. 0 or an error. May wait. */
int ml_file_open(struct ml_file *file, struct ml_disks *disks, const char *path, int flags,
                 mode_t mode);

#endif
