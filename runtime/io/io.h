/*
 * What the blocking operations of one runtime share: its hub, a spare read buffer, its resolver.
 * Knows no Lua.
 */
#ifndef ML_IO_IO_H
#define ML_IO_IO_H

#include "hub/hub.h"

struct ml_resolver;

struct ml_io {
    struct ml_hub *hub;
    char *
        spare; /* ML_IO_READ_SIZE bytes lent to the stream that reads now; NULL: lent or not made */
    struct ml_resolver *resolver; /* NULL until the first host name */
};

/* Bytes asked for in one read. */
enum { ML_IO_READ_SIZE = 64 * 1024 };

void ml_io_init(struct ml_io *io, struct ml_hub *hub);

/* After every stream is closed. */
void ml_io_release(struct ml_io *io);

#endif
