/*
 * A shared library that is loaded for moonlet alone, once in a process: nobody else sees its names.
 */
#ifndef ML_HUB_LOOP_LIBRARY_H
#define ML_HUB_LOOP_LIBRARY_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct ml_library {
    const char *name;
    bool (*find_functions)(void *library); /* fills the table of them; false: one is missing */
    pthread_mutex_t lock;
    atomic_bool is_loaded;
};

#define ML_LIBRARY(file, find)                                                                     \
    {                                                                                              \
        .name = (file), .find_functions = (find), .lock = PTHREAD_MUTEX_INITIALIZER                \
    }

/* 0; -ELIBACC: there is no such library, or one without these functions. From any thread. What
 * failed, for want of descriptors or memory perhaps, is tried again. The library stays in the
 * process. */
int ml_library_load(struct ml_library *l);

#endif
