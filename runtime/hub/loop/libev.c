#define ML_LIBEV_PLAIN 1
#include "hub/loop/libev.h"

#include "hub/loop/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct ml_libev ml_libev;

static bool find_functions(void *library)
{
    bool has_all = true;
#define FIND(name)                                                                                 \
    ml_libev.name = (__typeof__(ml_libev.name))dlsym(library, #name);                              \
    has_all = has_all && ml_libev.name != NULL;
    ML_LIBEV_FUNCTIONS(FIND)
#undef FIND
    return has_all;
}

int ml_libev_load(void)
{
    static struct ml_library library = ML_LIBRARY("libev.so.4", find_functions);
    return ml_library_load(&library);
}
