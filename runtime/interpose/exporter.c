#include "interpose/exporter.h"

#include <dlfcn.h>

void ml_exporter_find_libc(struct ml_libc *libc)
{
#define FIND(type, name, parameters, arguments) *(void **)&libc->name = dlsym(RTLD_NEXT, #name);
    ML_CALLS(FIND)
#undef FIND
    *(void **)&libc->fcntl = dlsym(RTLD_NEXT, "fcntl");
    *(void **)&libc->fcntl64 = dlsym(RTLD_NEXT, "fcntl64");
    *(void **)&libc->ioctl = dlsym(RTLD_NEXT, "ioctl");
    libc->is_exported = true;
}
