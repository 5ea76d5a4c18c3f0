#include "hub/cxx.h"

#include <dlfcn.h>
#include <stddef.h>

/* Of a program that is written in C++, linked with its runtime in whatever way. */
extern struct ml_cxx_globals *__cxa_get_globals(void) __attribute__((weak));

struct ml_cxx_globals *ml_cxx_find(void)
{
    if (__cxa_get_globals != NULL)
        return __cxa_get_globals();
    void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
    if (library == NULL)
        return NULL;
    struct ml_cxx_globals *(*get)(void) =
        (struct ml_cxx_globals * (*)(void)) dlsym(library, "__cxa_get_globals");
    struct ml_cxx_globals *globals = get != NULL ? get() : NULL;
    dlclose(library);
    return globals;
}
