#include "io/editline.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>

int ml_editline_load(struct ml_editline *e)
{
    void *library = dlopen("libedit.so.2", RTLD_NOW | RTLD_LOCAL);
    bool has_all = library != NULL;
    if (!has_all)
        return -ENOENT;
#define FIND(type, name, parameters)                                                               \
    *(void **)&e->name = dlsym(library, #name);                                                    \
    has_all = has_all && e->name != NULL;
    ML_EDITLINE_FUNCTIONS(FIND)
#undef FIND
    if (!has_all)
        dlclose(library);
    return has_all ? 0 : -ENOENT;
}
