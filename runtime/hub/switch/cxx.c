#include "hub/switch/cxx.h"

#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

typedef struct ml_cxx_globals *get_globals(void);

/* The C++ runtime of a program that is written in C++, however it is linked. */
extern get_globals __cxa_get_globals __attribute__((weak));

static void add(struct ml_cxx **cxx, struct ml_cxx_globals *globals)
{
    if (globals != NULL && *cxx == NULL)
        *cxx = calloc(1, sizeof **cxx);
    if (globals == NULL || *cxx == NULL)
        return;
    unsigned i = 0;
    while (i < (*cxx)->count && (*cxx)->globals[i] != globals)
        i++;
    if (i == (*cxx)->count && i < ML_CXX_MOST)
        (*cxx)->globals[(*cxx)->count++] = globals;
}

/* Adds that of a library that is loaded already, or of a library that it needs. */
static void add_of(struct ml_cxx **cxx, const char *name)
{
    void *library = name != NULL ? dlopen(name, RTLD_LAZY | RTLD_NOLOAD) : NULL;
    if (library == NULL)
        return;
    get_globals *get = (get_globals *)dlsym(library, "__cxa_get_globals");
    if (get != NULL)
        add(cxx, get());
    dlclose(library);
}

static int is_shared_runtime(struct dl_phdr_info *info, size_t size, void *unused)
{
    (void)size, (void)unused;
    return info->dlpi_name != NULL && strstr(info->dlpi_name, "/libstdc++.so") != NULL;
}

/* dlopen() with RTLD_NOLOAD looks for the file of a library that it does not know, which was a
 * tenth of the start of a thread. */
static bool has_shared_runtime(void)
{
    return dl_iterate_phdr(is_shared_runtime, NULL) != 0;
}

void ml_cxx_find(struct ml_cxx **cxx, const char *library)
{
    if (__cxa_get_globals != NULL)
        add(cxx, __cxa_get_globals());
    if (has_shared_runtime())
        add_of(cxx, "libstdc++.so.6");
    add_of(cxx, library);
}
