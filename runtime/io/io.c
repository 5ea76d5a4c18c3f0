#include "io/io.h"

#include "io/dns.h"
#include "io/tls.h"

#include <stdlib.h>

void ml_io_init(struct ml_io *io, struct ml_hub *hub)
{
    *io = (struct ml_io){.hub = hub};
    hub->io = io;
}

void ml_io_release(struct ml_io *io)
{
    ml_resolver_release(io);
    ml_tls_release(io);
    free(io->spare);
    io->spare = NULL;
}
