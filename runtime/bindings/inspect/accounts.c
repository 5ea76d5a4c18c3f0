#include "bindings/inspect/accounts.h"

#include "hub/state/observer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ml_accounts {
    struct ml_observer observer;
    struct ml_lua *lua;
    unsigned users;             /* 0: no accounts are kept */
    struct ml_account *entries; /* slot -> account */
    uint32_t capacity;
    ml_time resumed_at;       /* when the running task's code went on */
    uint64_t allocated_then;  /* ... and what had been allocated */
    _Atomic size_t allocated; /* bytes, in all */
    lua_Alloc allocate;       /* the allocator below */
    void *allocate_owner;
};

/* ---- memory ---- */

/* lua_Alloc. C libraries may call it on other threads: then some bytes may be lost. */
static void *allocate_counted(void *owner, void *block, size_t old_size, size_t size)
{
    struct ml_accounts *accounts = owner;
    size_t had = block != NULL ? old_size : 0;
    if (size > had)
        atomic_store_explicit(&accounts->allocated,
                              atomic_load_explicit(&accounts->allocated, memory_order_relaxed) +
                                  size - had,
                              memory_order_relaxed);
    return accounts->allocate(accounts->allocate_owner, block, old_size, size);
}

static void count_memory(struct ml_accounts *accounts)
{
    void *owner;
    lua_Alloc allocate = lua_getallocf(accounts->lua->main, &owner);
    if (allocate == allocate_counted)
        return;
    accounts->allocate = allocate;
    accounts->allocate_owner = owner;
    lua_setallocf(accounts->lua->main, allocate_counted, accounts);
}

/* Unless other code has put its own allocator above: then this one stays. */
static void leave_memory(const struct ml_accounts *accounts)
{
    void *owner;
    if (lua_getallocf(accounts->lua->main, &owner) == allocate_counted)
        lua_setallocf(accounts->lua->main, accounts->allocate, accounts->allocate_owner);
}

/* ---- entries ---- */

static bool grow(struct ml_accounts *accounts, uint32_t slot)
{
    enum { FIRST = 64 };
    uint32_t capacity = accounts->capacity > 0 ? accounts->capacity : FIRST;
    while (capacity <= slot)
        capacity *= 2;
    struct ml_account *entries = realloc(accounts->entries, capacity * sizeof *entries);
    if (entries == NULL)
        return false;
    memset(entries + accounts->capacity, 0, (capacity - accounts->capacity) * sizeof *entries);
    accounts->entries = entries;
    accounts->capacity = capacity;
    return true;
}

/* The task's entry, a new one if it has none; NULL: no memory, the task has no account. */
static struct ml_account *entry_of(struct ml_accounts *accounts, const struct ml_task *task)
{
    uint32_t slot = task->waiter.slot;
    if (slot >= accounts->capacity && !grow(accounts, slot))
        return NULL;
    struct ml_account *entry = &accounts->entries[slot];
    if (entry->id != task->id)
        *entry = (struct ml_account){.id = task->id};
    return entry;
}

/* ---- events ---- */

static void begin_run(struct ml_accounts *accounts)
{
    accounts->resumed_at = ml_clock_now();
    accounts->allocated_then = accounts->allocated;
}

static void add_run(const struct ml_accounts *accounts, struct ml_account *entry, ml_time now)
{
    entry->ran += now - accounts->resumed_at;
    entry->allocated += accounts->allocated - accounts->allocated_then;
}

/* Bytes of C frames on the running stack. */
static uint32_t stack_in_use(const struct ml_hub *hub)
{
    const struct ml_seat *seat = hub->bank.running->seat;
    return seat == NULL
               ? 0
               : (uint32_t)(ml_stack_top(&seat->stack) - (const char *)__builtin_frame_address(0));
}

static void end_run(struct ml_accounts *accounts, struct ml_account *entry)
{
    ml_time now = ml_clock_now();
    uint32_t in_use = stack_in_use(&accounts->lua->hub);
    add_run(accounts, entry, now);
    entry->paused_at = now;
    if (in_use > entry->stack_high)
        entry->stack_high = in_use;
}

static void on_event(struct ml_observer *observer, struct ml_task *task, enum ml_task_event event)
{
    struct ml_accounts *accounts = ml_container_of(observer, struct ml_accounts, observer);
    const struct ml_task *current = accounts->lua->hub.current;
    if (event == ML_TASK_RESUMED)
        begin_run(accounts);
    if (event != ML_TASK_SPAWNED && event != ML_TASK_PAUSED)
        return;
    struct ml_account *entry = entry_of(accounts, task);
    if (entry == NULL)
        return;
    if (event == ML_TASK_PAUSED)
        end_run(accounts, entry);
    else if (current != NULL)
        entry->parent = current->id;
}

/* ---- from outside ---- */

int ml_accounts_open(struct ml_lua *lua)
{
    struct ml_accounts *accounts = lua->accounts;
    if (accounts == NULL)
        accounts = lua->accounts = calloc(1, sizeof *accounts);
    if (accounts == NULL)
        return -ENOMEM;
    if (accounts->users++ > 0)
        return 0;
    accounts->lua = lua;
    accounts->observer.on_event = on_event;
    count_memory(accounts);
    begin_run(accounts);
    ml_observer_add(&lua->hub, &accounts->observer);
    return 0;
}

static void forget_all(struct ml_accounts *accounts)
{
    free(accounts->entries);
    accounts->entries = NULL;
    accounts->capacity = 0;
}

void ml_accounts_close(struct ml_lua *lua)
{
    struct ml_accounts *accounts = lua->accounts;
    if (accounts == NULL || accounts->users == 0 || --accounts->users > 0)
        return;
    ml_observer_remove(&lua->hub, &accounts->observer);
    leave_memory(accounts);
    forget_all(accounts);
}

bool ml_account_of(struct ml_lua *lua, const struct ml_task *task, struct ml_account *account)
{
    struct ml_accounts *accounts = lua->accounts;
    bool is_kept = accounts != NULL && accounts->users > 0;
    struct ml_account *entry = is_kept ? entry_of(accounts, task) : NULL;
    if (entry == NULL)
        return false;
    *account = *entry;
    if (task == lua->hub.current)
        add_run(accounts, account, ml_clock_now());
    return true;
}

void ml_accounts_release(struct ml_lua *lua)
{
    if (lua->accounts != NULL)
        forget_all(lua->accounts);
    free(lua->accounts);
    lua->accounts = NULL;
}
