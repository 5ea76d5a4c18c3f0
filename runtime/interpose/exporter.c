#include "interpose/exporter.h"

#include <dlfcn.h>

void ml_exporter_find_libc(struct ml_libc *libc)
{
#define FIND(type, name, parameters, arguments) *(void **)&libc->name = dlsym(RTLD_NEXT, #name);
    ML_CALLS(FIND)
#undef FIND
    libc->is_exported = true;
}
