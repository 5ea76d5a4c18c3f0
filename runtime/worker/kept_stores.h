/* Memory that workers share by name: made at the first request for the name, kept by the master for
 * its life. Knows nothing of the content. */
#ifndef ML_WORKER_KEPT_STORES_H
#define ML_WORKER_KEPT_STORES_H

#include "worker/master_state.h"

struct ml_worker_store {
    struct ml_link link;
    char name[sizeof(((struct ml_control_store *)0)->name)];
    uint64_t size;
    int fd; /* a memfd, whose size is sealed */
};

/* The memory of that name, made with asked->size if there is none; *size: of the memory. The
 * descriptor stays the master's. A negated errno; EINVAL: no size. */
int ml_kept_stores_find(struct ml_master *master, const struct ml_control_store *asked,
                        uint64_t *size);

/* Takes over one that exists. 0 or -ENOMEM. */
int ml_kept_stores_add(struct ml_master *master, const char *name, uint64_t size, int fd);

void ml_kept_stores_release(struct ml_master *master);

#endif
