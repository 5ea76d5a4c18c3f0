/*
 * The stores of this process by their names: all its runtimes share them, and they live as long as
 * the process. Knows no master: it makes a store, or is handed its memory.
 */
#ifndef ML_WORKER_OPEN_STORES_H
#define ML_WORKER_OPEN_STORES_H

#include "worker/store.h"

/* In bytes. */
enum { ML_STORE_LONGEST_NAME = 63 };

/* Of a store that is made without a size. */
#define ML_STORE_DEFAULT_SIZE ((size_t)16 << 20)

/* What the caller asks for. */
struct ml_store_wish {
    size_t size; /* 0: as it is, or the default */
    enum { ML_EVICT_AS_IS, ML_EVICT_NEVER, ML_EVICT_OLDEST } evict; /* as it is, or never */
};

/* Gets the memory of a store from elsewhere: a descriptor, or a negated error. May suspend the
 * task. */
typedef int ml_store_source(void *context, const char *name, const struct ml_store_wish *wish);

/*
 * The store of that name; *store stays valid for the life of the process. source: asked for the
 * memory if there is no such store yet; NULL: it is made here.
 *
 * -EEXIST: it has another size, or another way when it is full: *store is set all the same;
 * -EPROTO: its memory is of another version; -EBUSY: another process makes it, come again;
 * -EINVAL: a size out of bounds; -ENOMEM, -EMFILE,
 * -ENFILE; errors of the source.
 */
int ml_open_stores_get(const char *name, const struct ml_store_wish *wish, ml_store_source *source,
                       void *context, struct ml_store **store);

#endif
