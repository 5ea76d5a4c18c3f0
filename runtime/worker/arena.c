#include "worker/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

static const char magic[8] = "mlstore";

/* An arena is divided so that a shard has 2 MiB at least: a value lies in one shard. */
enum { SHARD_SIZE_LEAST = 2 << 20, MOST_SHARDS = 16 };

_Static_assert(sizeof(union ml_slab_cell) == ML_CELL_SIZE, "a cell is one line of the cache");
_Static_assert(sizeof(struct ml_arena_head) <= 128, "the shards begin behind it");

static uint32_t power_of_2_below(size_t n)
{
    uint32_t power = 1;
    while (power <= n / 2 && power < 1u << 30)
        power *= 2;
    return power;
}

/* A shard: its head, an index for each bucket, a mark for each cell, the cells. */
static void divide(struct ml_arena_head *head, size_t size, bool evicts)
{
    uint32_t shards = power_of_2_below(size / SHARD_SIZE_LEAST);
    memcpy(head->magic, magic, sizeof magic);
    head->lock_size = sizeof(pthread_mutex_t);
    head->size = size;
    head->first_shard = 128;
    head->shard_count = shards < MOST_SHARDS ? shards : MOST_SHARDS;
    head->shard_size = (size - head->first_shard) / head->shard_count / ML_CELL_SIZE * ML_CELL_SIZE;
    size_t room = head->shard_size - sizeof(struct ml_shard) - ML_CELL_SIZE;
    head->cell_count = (uint32_t)(room / (ML_CELL_SIZE + sizeof(uint32_t) + 1));
    head->bucket_count = power_of_2_below(head->cell_count);
    head->evicts = evicts;
}

static int open_lock(pthread_mutex_t *mutex)
{
    pthread_mutexattr_t attributes;
    int error = pthread_mutexattr_init(&attributes);
    if (error != 0)
        return -error;
    pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(mutex, &attributes);
    pthread_mutexattr_destroy(&attributes);
    return -error;
}

static int open_shard(const struct ml_arena *arena, uint32_t number)
{
    struct ml_shard *shard = ml_arena_shard(arena, number);
    shard->free_count = arena->head->cell_count - 1;
    shard->untouched = 1;
    shard->first_expires = ML_FOREVER;
    return open_lock(&shard->mutex);
}

/* The version is written last: a process that is killed before leaves memory that is still new. */
static int fill(struct ml_arena *arena, bool evicts)
{
    struct ml_arena_head *head = arena->head;
    divide(head, arena->size, evicts);
    if (getrandom(head->seed, sizeof head->seed, GRND_NONBLOCK) != sizeof head->seed)
        head->seed[0] = (uint64_t)ml_clock_now(), head->seed[1] = (uint64_t)getpid();
    int error = 0;
    for (uint32_t i = 0; error == 0 && i < head->shard_count; i++)
        error = open_shard(arena, i);
    if (error == 0)
        __atomic_store_n(&head->version, ML_ARENA_VERSION, __ATOMIC_RELEASE);
    return error;
}

/* ---- attaching ---- */

static bool is_arena(const struct ml_arena_head *head)
{
    return memcmp(head->magic, magic, sizeof magic) == 0;
}

static bool is_new(const struct ml_arena_head *head)
{
    return __atomic_load_n(&head->version, __ATOMIC_ACQUIRE) == 0;
}

/* Whether this program reads what lies there. */
static bool is_ours(const struct ml_arena_head *head, size_t size)
{
    struct ml_arena_head expected = {0};
    divide(&expected, size, head->evicts != 0);
    return is_arena(head) && head->version == ML_ARENA_VERSION &&
           head->lock_size == expected.lock_size && head->size == size &&
           head->shard_count == expected.shard_count && head->shard_size == expected.shard_size &&
           head->cell_count == expected.cell_count && head->first_shard == expected.first_shard &&
           head->bucket_count == expected.bucket_count;
}

/* The record lock of this process on the whole: it ends with the process, however that ends.
 * Threads of one process exclude each other by other means (worker/open_stores.c). */
static int lock_memory(int fd, int type)
{
    struct flock lock = {.l_type = (short)type, .l_whence = SEEK_SET};
    if (fcntl(fd, F_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static int fill_if_new(struct ml_arena *arena, bool evicts)
{
    int error = lock_memory(arena->fd, F_WRLCK);
    if (error != 0)
        return error;
    if (is_new(arena->head))
        error = fill(arena, evicts);
    lock_memory(arena->fd, F_UNLCK);
    return error;
}

static int map(struct ml_arena *arena)
{
    void *mapping = mmap(NULL, arena->size, PROT_READ | PROT_WRITE, MAP_SHARED, arena->fd, 0);
    if (mapping == MAP_FAILED)
        return -errno;
    arena->head = mapping;
    return 0;
}

/* No process may make it shorter from now on: others would die by SIGBUS. Fails where another
 * process has set the seals already. */
static int measure(struct ml_arena *arena)
{
    struct stat status;
    fcntl(arena->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW);
    if (fstat(arena->fd, &status) != 0)
        return -errno;
    if (status.st_size < (off_t)ML_ARENA_SMALLEST || status.st_size > (off_t)ML_ARENA_LARGEST)
        return -EPROTO;
    arena->size = (size_t)status.st_size;
    return 0;
}

int ml_arena_attach(struct ml_arena *arena, int fd, bool evicts)
{
    *arena = (struct ml_arena){.fd = fd};
    int error = measure(arena);
    if (error == 0)
        error = map(arena);
    if (error == 0 && is_new(arena->head))
        error = fill_if_new(arena, evicts);
    if (error == 0 && !is_ours(arena->head, arena->size))
        error = -EPROTO;
    if (error != 0)
        ml_arena_close(arena);
    return error;
}

int ml_arena_make(struct ml_arena *arena, const char *name, size_t size, bool evicts)
{
    *arena = (struct ml_arena){.fd = -1};
    if (size < ML_ARENA_SMALLEST || size > ML_ARENA_LARGEST)
        return -EINVAL;
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0)
        return -errno;
    if (ftruncate(fd, (off_t)size) != 0) {
        int error = -errno;
        close(fd);
        return error;
    }
    return ml_arena_attach(arena, fd, evicts);
}

void ml_arena_close(struct ml_arena *arena)
{
    if (arena->head != NULL)
        munmap(arena->head, arena->size);
    if (arena->fd >= 0)
        close(arena->fd);
    *arena = (struct ml_arena){.fd = -1};
}
