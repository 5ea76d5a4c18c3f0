#include "io/io.h"

#include <stdlib.h>

char *ml_io_borrow(struct ml_io *io)
{
    char *block = io->spare;
    io->spare = NULL;
    return block != NULL ? block : malloc(ML_IO_READ_SIZE);
}

void ml_io_give_back(struct ml_io *io, char *block)
{
    if (io->spare == NULL)
        io->spare = block;
    else
        free(block);
}
