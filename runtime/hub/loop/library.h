/*
 * A shared library that is loaded once in a process, for moonlet alone: other libraries do not get
 * its names.
 */
#ifndef ML_HUB_LOOP_LIBRARY_H
#define ML_HUB_LOOP_LIBRARY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ml_library {
    const char *name;
    bool (*find_functions)(void *library); /* fills a table of functions; false: one is missing */
    pthread_mutex_t lock;
    atomic_bool is_loaded;
};

#define ML_LIBRARY(file, find)                                                                     \
    {                                                                                              \
        .name = (file), .find_functions = (find), .lock = PTHREAD_MUTEX_INITIALIZER                \
    }

/* From any thread. A failure, from want of descriptors or memory perhaps, is not final: the next
 * call tries again. The library stays in the process. 0; -ELIBACC: there is no such library, or one
 * without these functions. */
int ml_library_load(struct ml_library *l);

#endif
