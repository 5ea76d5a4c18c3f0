/* The lock of a shard, and its mending. */
#include "base/check.h"
#include "worker/shard.h"

#include <errno.h>
#include <string.h>

/* For so long a process looks for a lock without giving way: an owner holds it for less than a
 * microsecond, unless it was taken off its processor. */
enum { SPIN = 50000 };

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#else
    atomic_signal_fence(memory_order_seq_cst);
#endif
}

static int spin(pthread_mutex_t *mutex)
{
    ml_time until = ml_clock_now() + SPIN;
    int error;
    do {
        for (int i = 0; i < 32; i++)
            relax();
        error = pthread_mutex_trylock(mutex);
    } while (error == EBUSY && ml_clock_now() < until);
    return error;
}

int ml_shard_lock(struct ml_locked *l, const struct ml_arena *arena, uint32_t number, ml_time now)
{
    struct ml_shard *shard = ml_arena_shard(arena, number);
    l->arena = arena;
    l->shard = shard;
    l->cells = ml_shard_cells(arena, shard);
    l->buckets = ml_shard_buckets(shard);
    l->now = now;
    int error = pthread_mutex_trylock(&shard->mutex);
    if (ml_unlikely(error == EBUSY))
        error = spin(&shard->mutex);
    if (ml_unlikely(error == EOWNERDEAD)) {
        ml_shard_mend(l);
        error = pthread_mutex_consistent(&shard->mutex);
    }
    return -error;
}

void ml_shard_unlock(struct ml_locked *l)
{
    pthread_mutex_unlock(&l->shard->mutex);
}

/* ---- mending ---- */

struct mending {
    struct ml_locked *l;
    char *marks;
    uint32_t count; /* of marked cells */
};

static bool mark(struct mending *m, uint32_t cell)
{
    bool is_new = cell > 0 && cell < m->l->arena->head->cell_count && !m->marks[cell];
    if (is_new)
        m->marks[cell] = 1;
    m->count += is_new;
    return is_new;
}

/* Whether the chain of an entry, whose own cell is marked, is whole. */
static bool mark_chain(struct mending *m, const struct ml_entry *entry)
{
    uint64_t cells = ml_entry_cells(entry->key_size, entry->value_size) - 1;
    uint32_t cell = entry->more;
    bool is_whole = cells < m->l->arena->head->cell_count;
    for (; is_whole && cells > 0; cells--) {
        is_whole = mark(m, cell);
        cell = is_whole ? m->l->cells[cell].cell.next : 0;
    }
    return is_whole;
}

/* An entry whose chain is damaged is left out; an index that leads astray ends the bucket. */
static void mark_bucket(struct mending *m, uint32_t *place)
{
    while (*place != 0) {
        if (!mark(m, *place)) {
            *place = 0;
            return;
        }
        struct ml_entry *entry = ml_shard_entry(m->l, *place);
        if (!mark_chain(m, entry)) {
            *place = entry->next;
            continue;
        }
        m->l->shard->entry_count++;
        ml_shard_note_expiry(m->l, entry->expires);
        place = &entry->next;
    }
}

/* All cells that no mark is on, in their order. */
static void free_the_rest(struct mending *m)
{
    struct ml_shard *shard = m->l->shard;
    uint32_t last = shard->untouched, first = 0;
    while (last > 1 && !m->marks[last - 1])
        last--;
    for (uint32_t cell = last - 1; cell > 0; cell--)
        if (!m->marks[cell]) {
            m->l->cells[cell].cell.next = first;
            first = cell;
        }
    shard->untouched = last;
    shard->free_first = first;
    shard->free_count = m->l->arena->head->cell_count - 1 - m->count;
}

void ml_shard_mend(struct ml_locked *l)
{
    const struct ml_arena_head *head = l->arena->head;
    struct ml_shard *shard = l->shard;
    struct mending m = {.l = l, .marks = ml_shard_marks(l->arena, shard)};
    memset(m.marks, 0, head->cell_count);
    shard->first_expires = ML_FOREVER;
    shard->entry_count = 0;
    shard->hand %= head->bucket_count;
    if (shard->untouched == 0 || shard->untouched > head->cell_count)
        shard->untouched = head->cell_count;
    for (uint32_t bucket = 0; bucket < head->bucket_count; bucket++)
        mark_bucket(&m, &l->buckets[bucket]);
    free_the_rest(&m);
}
