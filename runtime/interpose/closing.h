/* Numbers of descriptors that come to stand for something else, or for nothing. */
#ifndef ML_INTERPOSE_CLOSING_H
#define ML_INTERPOSE_CLOSING_H

#include "interpose/state.h"

/* `fd` is about to be closed or replaced, or was: what is known of the number is forgotten, and
 * waits for it end. */
void ml_closing_note(struct ml_libc_calls *calls, int fd);

#endif
