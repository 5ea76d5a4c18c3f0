/* Numbers of descriptors that are closed, or come to stand for another file. */
#ifndef ML_INTERPOSE_CLOSING_H
#define ML_INTERPOSE_CLOSING_H

#include "interpose/state.h"

/* `fd` is about to be closed or replaced, or was: forgets what is remembered about the number, and
 * ends waits for it. */
void ml_closing_note(struct ml_libc_calls *calls, int fd);

#endif
