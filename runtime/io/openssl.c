#include "io/openssl.h"

#include "io/io.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

static bool find_functions(struct ml_openssl *o)
{
    bool has_all = true;
#define ML_OPENSSL_FIND(name)                                                                      \
    o->name = (__typeof__(o->name))dlsym(o->library, #name);                                       \
    has_all = has_all && o->name != NULL;
    ML_OPENSSL_FUNCTIONS(ML_OPENSSL_FIND)
#undef ML_OPENSSL_FIND
    return has_all;
}

static struct ml_openssl *load(void)
{
    struct ml_openssl *o = calloc(1, sizeof *o);
    if (o == NULL)
        return NULL;
    o->library = dlopen("libssl.so.3", RTLD_NOW | RTLD_LOCAL);
    if (o->library != NULL && find_functions(o)) {
        /* No clean-up at exit: a worker may still hash a password for which no task waits any more.
         */
        o->OPENSSL_init_crypto(OPENSSL_INIT_NO_ATEXIT, NULL);
        return o;
    }
    if (o->library != NULL)
        dlclose(o->library);
    free(o);
    return NULL;
}

const struct ml_openssl *ml_openssl_get(struct ml_io *io)
{
    if (io->openssl == NULL)
        io->openssl = load();
    return io->openssl;
}

/* The library stays in the process: its own clean-up at the end of a thread may still be called. */
void ml_openssl_release(struct ml_io *io)
{
    free(io->openssl);
    io->openssl = NULL;
}
