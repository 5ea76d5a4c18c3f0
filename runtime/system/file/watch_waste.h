/* Pictures that no watch needs any more: a large one is freed by a worker, so that no task waits.
 */
#ifndef ML_SYSTEM_FILE_WATCH_WASTE_H
#define ML_SYSTEM_FILE_WATCH_WASTE_H

#include "hub/state/hub.h"
#include "system/file/watch_picture.h"

/* A picture with so many entries is freed at once (measured: 50 ns an entry). */
enum { ML_WATCH_SMALL_PICTURE = 4096 };

/* Frees the picture, whose claims have ended, and leaves it zeroed. */
void ml_watch_waste(struct ml_hub *hub, struct ml_picture *picture);

#endif
