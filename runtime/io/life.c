#include "io/life.h"

#include "io/departure.h"
#include "io/linger.h"
#include "io/resolver.h"
#include "io/tls.h"

#include <stdlib.h>

void ml_io_init(struct ml_io *io, struct ml_hub *hub)
{
    *io = (struct ml_io){.hub = hub};
    ml_list_init(&io->resolvers);
    ml_list_init(&io->lingering);
    ml_list_init(&io->locked_files);
}

void ml_io_release(struct ml_io *io)
{
    ml_departures_close(io);
    ml_linger_release(io);
    ml_resolver_free_all(io);
    ml_tls_release(io);
    free(io->nghttp2);
    io->nghttp2 = NULL;
    free(io->codecs); /* the libraries stay in the process */
    io->codecs = NULL;
    free(io->spare);
    io->spare = NULL;
}
