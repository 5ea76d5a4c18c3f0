#include "io/io.h"

#include "io/resolver.h"
#include "io/tls.h"

#include <stdlib.h>

void ml_io_init(struct ml_io *io, struct ml_hub *hub)
{
    *io = (struct ml_io){.hub = hub};
    ml_list_init(&io->resolvers);
}

void ml_io_release(struct ml_io *io)
{
    ml_resolver_free_all(io);
    ml_tls_release(io);
    free(io->spare);
    io->spare = NULL;
}
