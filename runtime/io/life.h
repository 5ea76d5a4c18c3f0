/* The life of struct ml_io: the one module of the room that knows all its parts. */
#ifndef ML_IO_LIFE_H
#define ML_IO_LIFE_H

#include "io/io.h"

void ml_io_init(struct ml_io *io, struct ml_hub *hub);

/* To be called after every stream is closed. */
void ml_io_release(struct ml_io *io);

#endif
