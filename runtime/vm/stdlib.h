/* The Lua modules of stdlib/, embedded in the library by the build. */
#ifndef ML_VM_STDLIB_H
#define ML_VM_STDLIB_H

#include <stddef.h>

struct ml_stdlib_module {
    const char *name; /* as given to require; NULL ends the list */
    const char *source;
    size_t size;
};

extern const struct ml_stdlib_module ml_stdlib_modules[];

#endif
