/* What the kernel counts of this process: memory, processor time, descriptors. Knows no runtime. */
#ifndef ML_BINDINGS_INSPECT_PROCESS_FIGURES_H
#define ML_BINDINGS_INSPECT_PROCESS_FIGURES_H

#include <stdint.h>

struct ml_process_figures {
    double cpu_seconds;      /* of all threads */
    double start_seconds;    /* since 1970; 0: not known */
    uint64_t resident_bytes; /* 0: not known */
    uint64_t virtual_bytes;  /* 0: not known */
    uint64_t threads;        /* 0: not known */
    int64_t open_fds;        /* -1: not known */
    double max_fds;          /* HUGE_VAL: no limit */
};

/* Without /proc, and without a descriptor to read it, some are not known. Never waits. */
void ml_process_figures_read(struct ml_process_figures *figures);

#endif
