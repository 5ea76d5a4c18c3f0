#include "hub/loop/library.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>

/* If the program has linked the library, this is the same one. */
static bool load(const struct ml_library *l)
{
    void *library = dlopen(l->name, RTLD_NOW | RTLD_LOCAL);
    return library != NULL && l->find_functions(library);
}

int ml_library_load(struct ml_library *l)
{
    if (!atomic_load(&l->is_loaded)) {
        pthread_mutex_lock(&l->lock);
        if (!atomic_load(&l->is_loaded))
            atomic_store(&l->is_loaded, load(l));
        pthread_mutex_unlock(&l->lock);
    }
    return atomic_load(&l->is_loaded) ? 0 : -ELIBACC;
}
