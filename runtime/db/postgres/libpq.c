#include "db/postgres/libpq.h"

#include "hub/loop/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct ml_libpq ml_libpq;

static bool find_functions(void *library)
{
    bool has_all = true;
#define FIND(name)                                                                                 \
    ml_libpq.name = (__typeof__(ml_libpq.name))dlsym(library, #name);                              \
    has_all = has_all && ml_libpq.name != NULL;
    ML_LIBPQ_FUNCTIONS(FIND)
#undef FIND
    return has_all;
}

int ml_libpq_load(void)
{
    static struct ml_library library = ML_LIBRARY("libpq.so.5", find_functions);
    return ml_library_load(&library);
}
