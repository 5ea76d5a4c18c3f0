#include "worker/open_stores.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct named {
    struct named *next;
    struct ml_store store;
    char name[];
};

/* The stores of this process. They stay mapped to its end. */
static struct {
    pthread_mutex_t lock;
    struct named *first;
} stores = {PTHREAD_MUTEX_INITIALIZER, NULL};

/* To be called with the lock. */
static struct named *find(const char *name)
{
    struct named *named = stores.first;
    while (named != NULL && strcmp(named->name, name) != 0)
        named = named->next;
    return named;
}

static struct named *find_locked(const char *name)
{
    pthread_mutex_lock(&stores.lock);
    struct named *named = find(name);
    pthread_mutex_unlock(&stores.lock);
    return named;
}

/* The mapping needs no descriptor any more. If another thread was first, its store stays. */
static struct named *enter(struct named *named)
{
    close(named->store.arena.fd);
    named->store.arena.fd = -1;
    pthread_mutex_lock(&stores.lock);
    struct named *other = find(named->name);
    if (other == NULL) {
        named->next = stores.first;
        stores.first = named;
    }
    pthread_mutex_unlock(&stores.lock);
    if (other == NULL)
        return named;
    ml_arena_close(&named->store.arena);
    free(named);
    return other;
}

static int make(struct ml_arena *arena, const char *name, const struct ml_store_wish *wish)
{
    size_t size = wish->size != 0 ? wish->size : ML_STORE_DEFAULT_SIZE;
    return ml_arena_make(arena, name, size, wish->evict == ML_EVICT_OLDEST);
}

static int open_new(const char *name, const struct ml_store_wish *wish, ml_store_source *source,
                    void *context, struct named **named)
{
    size_t length = strlen(name);
    struct named *new = malloc(sizeof *new + length + 1);
    if (new == NULL)
        return -ENOMEM;
    *new = (struct named){0};
    memcpy(new->name, name, length + 1);
    int fd = source != NULL ? source(context, name, wish) : 0;
    int error = fd < 0 ? fd
                : source == NULL
                    ? make(&new->store.arena, name, wish)
                    : ml_arena_attach(&new->store.arena, fd, wish->evict == ML_EVICT_OLDEST);
    if (error != 0)
        free(new);
    else
        *named = enter(new);
    return error;
}

static bool is_granted(const struct ml_arena_head *head, const struct ml_store_wish *wish)
{
    return (wish->size == 0 || wish->size == head->size) &&
           (wish->evict == ML_EVICT_AS_IS || (wish->evict == ML_EVICT_OLDEST) == head->evicts);
}

int ml_open_stores_get(const char *name, const struct ml_store_wish *wish, ml_store_source *source,
                       void *context, struct ml_store **store)
{
    struct named *named = find_locked(name);
    int error = named == NULL ? open_new(name, wish, source, context, &named) : 0;
    if (error != 0)
        return error;
    *store = &named->store;
    return is_granted(named->store.arena.head, wish) ? 0 : -EEXIST;
}
