#define ML_LIBEV_PLAIN 1
#include "hub/loop/libev.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* The library stays in the process. Should somebody have linked it, it is the same one. */
static bool load(void)
{
    void *library = dlopen("libev.so.4", RTLD_NOW | RTLD_LOCAL);
    return library != NULL && find_functions(library);
}

/* What failed, for want of descriptors or memory perhaps, is tried again. */
int ml_libev_load(void)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static atomic_bool is_loaded;
    if (!atomic_load(&is_loaded)) {
        pthread_mutex_lock(&lock);
        if (!atomic_load(&is_loaded))
            atomic_store(&is_loaded, load());
        pthread_mutex_unlock(&lock);
    }
    return atomic_load(&is_loaded) ? 0 : -ELIBACC;
}
