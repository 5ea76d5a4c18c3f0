#include "hub/loop/life.h"

#include "base/check.h"
#include "coro/coro.h"
#include "hub/loop/poller.h"
#include "hub/state/scope.h"
#include "hub/switch/pace.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

/* The loop's epoll descriptor is the parent's, too. No worker thread came along. */
void ml_hub_forked(struct ml_hub *hub)
{
    hub->life.is_forked = true;
    hub->attention = true;
    hub->libc_calls = NULL;
    hub->offload.workers = NULL;
    if (hub->current != NULL)
        hub->current->cancelled = true; /* so that ml_cancel_point() looks closer */
}

/* In a child that a task forked. */
static void on_fork(void)
{
    if (ml_bank_current != NULL)
        ml_hub_forked(ml_container_of(ml_bank_current, struct ml_hub, bank));
}

static void watch_forks(void)
{
    pthread_atfork(NULL, NULL, on_fork);
}

int ml_hub_init(struct ml_hub *hub, struct ml_pool *pool, unsigned stacks, size_t stack_size)
{
    *hub = (struct ml_hub){0};
    ml_pace_init(hub);
    ml_bank_init(&hub->bank, pool, stacks, stack_size);
    ml_list_init(&hub->ready.queue);
    hub->ready.rest = &hub->ready.queue;
    ml_list_init(&hub->idle.tasks);
    ml_list_init(&hub->sync.locked);
    ml_list_init(&hub->poll_sets.all);
    ml_slots_init(&hub->slots);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    hub->poller = ml_poller_open();
    return hub->poller != NULL ? 0 : -errno;
}

void ml_hub_release(struct ml_hub *hub)
{
    ML_CHECK(hub->tasks.alive == 0);
    while (hub->scopes.free != NULL) {
        struct ml_scope *scope = hub->scopes.free;
        hub->scopes.free = scope->outer;
        free(scope);
    }
    ml_coro_drop(&hub->bank, &hub->switcher.spare);
    ml_timers_release(&hub->deadlines.timers);
    ml_slots_release(&hub->slots);
    if (hub->offload.closed != NULL)
        hub->offload.closed(hub);
    if (hub->mail.closed != NULL)
        hub->mail.closed(hub);
    ml_poller_close(hub->poller);
    ml_bank_release(&hub->bank);
    free(hub->switcher.cxx);
}
