#define ML_CARES_PLAIN 1
#include "io/cares.h"

#include "hub/loop/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct ml_cares ml_cares;

static bool find_functions(void *library)
{
    bool has_all = true;
#define FIND(name)                                                                                 \
    ml_cares.name = (__typeof__(ml_cares.name))dlsym(library, #name);                              \
    has_all = has_all && ml_cares.name != NULL;
    ML_CARES_FUNCTIONS(FIND)
#undef FIND
    return has_all;
}

int ml_cares_load(void)
{
    static struct ml_library library = ML_LIBRARY("libcares.so.2", find_functions);
    return ml_library_load(&library);
}
