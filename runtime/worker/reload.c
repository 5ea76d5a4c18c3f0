#include "worker/reload.h"

#include "worker/notify.h"
#include "worker/shares.h"
#include "worker/slots.h"
#include "worker/worker_process.h"

#include "base/check.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- those that wait for it ---- */

static void answer(struct ml_master *master, struct ml_reload_waiter *waiter, int error,
                   const char *reason)
{
    struct ml_worker_process *process = ml_master_process(master, waiter->serial);
    ml_list_remove(&waiter->link);
    if (process != NULL)
        ml_process_send(process, ML_CONTROL_RELOAD, waiter->request, error, reason, strlen(reason),
                        -1);
    free(waiter);
}

static void answer_all(struct ml_master *master, int error, const char *reason)
{
    struct ml_link *waiters = &master->reload.waiters;
    while (!ml_list_is_empty(waiters))
        answer(master, ml_container_of(waiters->next, struct ml_reload_waiter, link), error,
               reason);
}

static void add_waiter(struct ml_master *master, struct ml_worker_process *process,
                       uint64_t request)
{
    static const char no_memory[] = "there is no memory";
    struct ml_reload_waiter *waiter = calloc(1, sizeof *waiter);
    if (waiter == NULL) {
        ml_process_send(process, ML_CONTROL_RELOAD, request, -ENOMEM, no_memory,
                        sizeof no_memory - 1, -1);
        return;
    }
    waiter->serial = process->serial;
    waiter->request = request;
    ml_list_insert(&master->reload.waiters, &waiter->link);
}

/* ---- the reload ---- */

static void start(struct ml_master *master)
{
    struct ml_reload *reload = &master->reload;
    int error = 0;
    reload->is_under_way = true;
    reload->is_wanted_again = false;
    reload->generation = ++master->last_generation;
    ml_master_log(master, "reloads: generation %u", reload->generation);
    ml_notify_reloading(master);
    for (struct ml_link *link = master->slots.next; link != &master->slots && error == 0;
         link = link->next) {
        struct ml_worker_slot *slot = ml_slot_at(link);
        if (slot->next != NULL) {
            slot->next->slot = NULL;
            ml_process_end(master, slot->next, "a reload has begun");
        }
        error = ml_slot_start_next(master, slot, reload->generation);
    }
    if (error != 0)
        ml_reload_fail(master, strerror(-error));
}

/* A signal that comes before the first generation serves: scripts may have changed after it has
 * read them, so the reload follows. */
static void remember(struct ml_master *master)
{
    if (master->is_stopping)
        return;
    if (!master->reload.is_wanted_again)
        ml_master_log(master, "is starting: the reload follows when all workers are ready");
    master->reload.is_wanted_again = true;
}

void ml_reload_booted(struct ml_master *master)
{
    if (master->reload.is_wanted_again && !master->is_stopping)
        start(master);
}

void ml_reload_begin(struct ml_master *master, struct ml_worker_process *process, uint64_t request)
{
    static const char refusal[] = "the program is stopping", booting[] = "the program is starting";
    const char *reason = master->is_stopping ? refusal : !master->has_booted ? booting : NULL;
    if (reason != NULL && process == NULL)
        remember(master);
    else if (reason != NULL)
        ml_process_send(process, ML_CONTROL_RELOAD, request, -EAGAIN, reason, strlen(reason), -1);
    if (reason != NULL)
        return;
    if (process != NULL)
        add_waiter(master, process, request);
    if (master->reload.is_under_way)
        master->reload.is_wanted_again = true;
    else
        start(master);
}

static bool is_whole(const struct ml_master *master)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next) {
        const struct ml_worker_process *next = ml_slot_at(link)->next;
        if (next == NULL || next->state != ML_WORKER_READY)
            return false;
    }
    return true;
}

/* A reload that was asked for while this one was under way follows; those that wait, wait for it.
 */
static void finish(struct ml_master *master)
{
    struct ml_reload *reload = &master->reload;
    reload->is_under_way = false;
    ml_notify_ready(master);
    if (reload->is_wanted_again && !master->is_stopping)
        start(master);
}

void ml_reload_check(struct ml_master *master)
{
    struct ml_reload *reload = &master->reload;
    if (!reload->is_under_way || !is_whole(master))
        return;
    master->generation = reload->generation;
    if (!reload->is_wanted_again)
        answer_all(master, 0, "");
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next)
        ml_slot_swap(master, ml_slot_at(link), "a reload has replaced it", true);
    ml_shares_generation(master, reload->generation);
    ml_master_log(master, "generation %u serves", reload->generation);
    finish(master);
}

/* One that serves already may be answering. */
static void dismiss(struct ml_master *master, struct ml_worker_process *process)
{
    process->slot = NULL;
    if (process->state == ML_WORKER_READY)
        ml_process_drain(master, process, NULL, true);
    else
        ml_process_end(master, process, NULL);
}

void ml_reload_fail(struct ml_master *master, const char *reason)
{
    struct ml_reload *reload = &master->reload;
    if (!reload->is_under_way)
        return;
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next) {
        struct ml_worker_slot *slot = ml_slot_at(link);
        if (slot->next == NULL)
            continue;
        dismiss(master, slot->next);
        slot->next = NULL;
    }
    ml_shares_roll_back(master, reload->generation);
    ml_master_log(master, "the reload is rolled back, generation %u goes on: %s",
                  master->generation, reason);
    answer_all(master, -ECANCELED, reason);
    finish(master);
}
