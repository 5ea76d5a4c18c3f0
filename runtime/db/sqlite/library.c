#define ML_SQLITE_PLAIN 1
#include "db/sqlite/library.h"

#include "hub/loop/library.h"

#include <dlfcn.h>
#include <stdbool.h>
#include <stddef.h>

struct ml_sqlite_library ml_sqlite_library;

/* Counting what it allocates costs SQLite two locks for each value. A program that has linked
 * SQLite itself may want the count; where another library uses it already, this is refused. */
static void stop_counting(void *library)
{
    int (*config)(int, ...) = (int (*)(int, ...))dlsym(library, "sqlite3_config");
    if (config != NULL && dlsym(RTLD_DEFAULT, "sqlite3_config") == NULL)
        config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static bool find_functions(void *library)
{
    bool has_all = true;
    stop_counting(library);
#define FIND(name)                                                                                 \
    ml_sqlite_library.name = (__typeof__(ml_sqlite_library.name))dlsym(library, #name);            \
    has_all = has_all && ml_sqlite_library.name != NULL;
    ML_SQLITE_FUNCTIONS(FIND)
#undef FIND
    return has_all && ml_sqlite_library.sqlite3_threadsafe() != 0;
}

int ml_sqlite_load(void)
{
    static struct ml_library library = ML_LIBRARY("libsqlite3.so.0", find_functions);
    return ml_library_load(&library);
}
