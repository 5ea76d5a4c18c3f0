/* What a master is asked for. */
#ifndef ML_WORKER_MASTER_OPTIONS_H
#define ML_WORKER_MASTER_OPTIONS_H

#include "base/clock.h"

#include <stdbool.h>
#include <stdint.h>

/* All zero but `arguments` and `count`: the defaults. */
struct ml_master_options {
    char *const *arguments; /* of the program; ends with NULL */
    unsigned count;         /* of workers, 1 to ML_WORKERS_MAX */
    bool reuseport;         /* every listener has a socket for each worker */
    uint64_t max_requests;  /* then a worker is replaced; 0: no limit */
    uint64_t max_memory;    /* the same, bytes */
    ml_time grace;          /* that a worker has to drain; 0: 30 s */
    ml_time boot;           /* a worker is ready after that time at most; 0: 60 s */
    ml_time tickets;        /* keys of TLS sessions change so often; 0: 2 h */
    ml_time stuck; /* a worker answers within that time; 0: 10 s; ML_FOREVER: it need not */
    /* Told one line for people. NULL: nothing. */
    void (*log)(void *context, const char *text);
    void *context;
};

enum { ML_WORKERS_MAX = 1024 };

#endif
