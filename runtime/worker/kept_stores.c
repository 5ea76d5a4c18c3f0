#include "worker/kept_stores.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct ml_worker_store *store_at(struct ml_link *link)
{
    return ml_container_of(link, struct ml_worker_store, link);
}

static struct ml_worker_store *find(struct ml_master *master, const char *name)
{
    for (struct ml_link *link = master->stores.next; link != &master->stores; link = link->next)
        if (strcmp(store_at(link)->name, name) == 0)
            return store_at(link);
    return NULL;
}

/* The size is sealed: a worker that shrinks it would have the others killed by SIGBUS. */
static int make_memory(uint64_t size)
{
    if (size == 0 || size > (UINT64_C(1) << 46))
        return -EINVAL;
    int fd = memfd_create("moonlet.store", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    bool is_made = ftruncate(fd, (off_t)size) == 0 &&
                   fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0;
    int error = is_made ? 0 : -errno;
    if (error == 0)
        return fd;
    close(fd);
    return error;
}

int ml_kept_stores_add(struct ml_master *master, const char *name, uint64_t size, int fd)
{
    struct ml_worker_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return -ENOMEM;
    snprintf(store->name, sizeof store->name, "%s", name);
    store->size = size;
    store->fd = fd;
    ml_list_insert(&master->stores, &store->link);
    return 0;
}

int ml_kept_stores_find(struct ml_master *master, const struct ml_control_store *asked,
                        uint64_t *size)
{
    struct ml_worker_store *store = find(master, asked->name);
    if (store != NULL) {
        *size = store->size;
        return store->fd;
    }
    int fd = make_memory(asked->size);
    if (fd < 0)
        return fd;
    *size = asked->size;
    if (ml_kept_stores_add(master, asked->name, asked->size, fd) == 0)
        return fd;
    close(fd);
    return -ENOMEM;
}

void ml_kept_stores_release(struct ml_master *master)
{
    while (!ml_list_is_empty(&master->stores)) {
        struct ml_worker_store *store = store_at(master->stores.next);
        ml_list_remove(&store->link);
        close(store->fd);
        free(store);
    }
}
