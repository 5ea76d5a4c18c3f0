#include "io/balance.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

/* Pauses for one connection. */
enum { PATIENCE = 8 };

/* A process. Alone in its cache line, which it alone writes. */
struct place {
    _Alignas(64) _Atomic uint32_t serial; /* 0: free */
    _Atomic int32_t process;
    _Atomic uint32_t open;
    _Atomic uint64_t accepted; /* so far */
};

struct ml_balance_memory {
    _Atomic uint32_t used; /* places from there on were never used */
    struct place places[ML_BALANCE_PLACES];
};

/* What the places say. */
struct view {
    uint32_t count;    /* of those that take part */
    uint64_t open;     /* of all */
    uint64_t accepted; /* so far, by those that have fewer open than this process */
};

size_t ml_balance_size(void)
{
    return sizeof(struct ml_balance_memory);
}

int ml_balance_open(struct ml_balance *balance, int fd, uint32_t place, uint32_t serial)
{
    if (place >= ML_BALANCE_PLACES || serial == 0)
        return -EINVAL;
    void *memory = mmap(NULL, sizeof *balance->memory, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (memory == MAP_FAILED)
        return -errno;
    balance->memory = memory;
    balance->place = place;
    balance->serial = serial;
    balance->process = getpid();
    balance->patience = PATIENCE;
    return 0;
}

void ml_balance_release(struct ml_balance *balance)
{
    if (balance->memory == NULL)
        return;
    ml_balance_leave(balance);
    munmap(balance->memory, sizeof *balance->memory);
    balance->memory = NULL;
}

/* NULL: it does not take part, or has had its place taken. */
static struct place *own_place(const struct ml_balance *balance)
{
    if (balance->memory == NULL || balance->process != getpid())
        return NULL;
    struct place *place = &balance->memory->places[balance->place];
    return atomic_load(&place->serial) == balance->serial ? place : NULL;
}

static void use_place(struct ml_balance_memory *memory, uint32_t place)
{
    uint32_t used = atomic_load(&memory->used);
    while (used <= place && !atomic_compare_exchange_weak(&memory->used, &used, place + 1))
        continue;
}

void ml_balance_join(struct ml_balance *balance)
{
    if (balance->memory == NULL || own_place(balance) != NULL || balance->process != getpid())
        return;
    struct place *place = &balance->memory->places[balance->place];
    if (atomic_load(&place->serial) > balance->serial) /* a later process has it */
        return;
    atomic_store(&place->open, balance->open);
    atomic_store(&place->process, balance->process);
    atomic_store(&place->serial, balance->serial);
    use_place(balance->memory, balance->place);
}

void ml_balance_leave(struct ml_balance *balance)
{
    struct place *place = own_place(balance);
    if (place != NULL)
        atomic_store(&place->serial, 0);
}

void ml_balance_opened(struct ml_balance *balance)
{
    struct place *place = own_place(balance);
    balance->open++;
    if (place == NULL)
        return;
    atomic_store_explicit(&place->open, balance->open, memory_order_relaxed);
    atomic_fetch_add_explicit(&place->accepted, 1, memory_order_relaxed);
}

void ml_balance_closed(struct ml_balance *balance)
{
    struct place *place = own_place(balance);
    balance->open--;
    if (place != NULL)
        atomic_store_explicit(&place->open, balance->open, memory_order_relaxed);
}

/* ---- pauses ---- */

static struct view look(const struct ml_balance *balance)
{
    struct view view = {0};
    uint32_t used = atomic_load(&balance->memory->used);
    for (uint32_t i = 0; i < used; i++) {
        const struct place *place = &balance->memory->places[i];
        if (atomic_load(&place->serial) == 0)
            continue;
        uint32_t open = atomic_load_explicit(&place->open, memory_order_relaxed);
        view.count++;
        view.open += open;
        if (open < balance->open)
            view.accepted += atomic_load_explicit(&place->accepted, memory_order_relaxed);
    }
    return view;
}

static bool is_ahead(const struct ml_balance *balance, const struct view *view)
{
    uint64_t margin = view->open / 16 > view->count ? view->open / 16 : view->count;
    return (uint64_t)balance->open * view->count >= view->open + margin;
}

/* Those that were killed could not leave. */
static void forget_dead(const struct ml_balance *balance)
{
    uint32_t used = atomic_load(&balance->memory->used);
    for (uint32_t i = 0; i < used; i++) {
        struct place *place = &balance->memory->places[i];
        uint32_t serial = atomic_load(&place->serial);
        if (serial != 0 && kill(atomic_load(&place->process), 0) != 0 && errno == ESRCH)
            atomic_compare_exchange_strong(&place->serial, &serial, 0);
    }
}

bool ml_balance_must_pause(struct ml_balance *balance, unsigned paused)
{
    if (own_place(balance) == NULL)
        return false;
    struct view view = look(balance);
    if (!is_ahead(balance, &view))
        return false;
    if (view.accepted != balance->seen)
        balance->patience = PATIENCE;
    balance->seen = view.accepted;
    if (paused < balance->patience) {
        forget_dead(balance);
        return true;
    }
    balance->patience /= 2;
    return false;
}
