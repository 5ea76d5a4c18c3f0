#include "http/nghttp2.h"

#include "io/io.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stdlib.h>

static bool find_functions(struct ml_nghttp2 *n)
{
    bool has_all = true;
#define ML_NGHTTP2_FIND(name)                                                                      \
    n->name = (__typeof__(n->name))dlsym(n->library, #name);                                       \
    has_all = has_all && n->name != NULL;
    ML_NGHTTP2_FUNCTIONS(ML_NGHTTP2_FIND)
#undef ML_NGHTTP2_FIND
    n->set_max_continuations = (__typeof__(n->set_max_continuations))dlsym(
        n->library, "nghttp2_option_set_max_continuations");
    return has_all;
}

static struct ml_nghttp2 *load(void)
{
    struct ml_nghttp2 *n = calloc(1, sizeof *n);
    if (n == NULL)
        return NULL;
    n->library = dlopen("libnghttp2.so.14", RTLD_NOW | RTLD_LOCAL);
    if (n->library != NULL && find_functions(n))
        return n;
    if (n->library != NULL)
        dlclose(n->library);
    free(n);
    return NULL;
}

const struct ml_nghttp2 *ml_nghttp2_get(struct ml_io *io)
{
    if (io->nghttp2 == NULL)
        io->nghttp2 = load();
    return io->nghttp2;
}
