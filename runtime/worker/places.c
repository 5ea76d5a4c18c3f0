#include "worker/places.h"

#include "worker/figures.h"
#include "worker/notify.h"
#include "worker/peers.h"
#include "worker/reload.h"
#include "worker/shares.h"
#include "worker/slots.h"
#include "worker/worker_process.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

/* Restarts of one place: five in ten seconds are made after FIRST_PAUSE; then each pause is twice
 * as long as the one before, until a worker has served for STEADY. */
#define FIRST_PAUSE (100 * ML_MILLISECOND)
#define LONGEST_PAUSE (10 * ML_SECOND)
#define STEADY (10 * ML_SECOND)
static const double restarts = 5;

/* The pause before another try after a replacement that has failed. */
#define NEXT_TRY (10 * ML_SECOND)

enum { REASON_SIZE = 256 };

/* ---- starting ---- */

static ml_time pause_before_restart(struct ml_master *master, struct ml_worker_slot *slot,
                                    const struct ml_worker_process *process)
{
    double passed = ml_time_to_seconds(ml_time_between(slot->tokens_at, master->now));
    double tokens = slot->tokens + passed * restarts / 10;
    slot->tokens = tokens < restarts ? tokens : restarts;
    slot->tokens_at = master->now;
    if (process != NULL && process->ready_at > 0 && master->now - process->ready_at >= STEADY)
        slot->level = 0;
    if (slot->level == 0 && slot->tokens >= 1) {
        slot->tokens--;
        return FIRST_PAUSE;
    }
    enum { ENOUGH = 7 }; /* 0.1 s * 2^7 is more than the longest */
    slot->level += slot->level < ENOUGH;
    return ml_time_earlier(FIRST_PAUSE << slot->level, LONGEST_PAUSE);
}

static void start_later(struct ml_master *master, struct ml_worker_slot *slot,
                        const struct ml_worker_process *process)
{
    ml_time pause = pause_before_restart(master, slot, process);
    slot->start_at = ml_time_after(master->now, pause);
    slot->restarts++;
    if (slot->level > 1)
        ml_master_log(master, "worker %u: the next try is in %.1f s", slot->id,
                      ml_time_to_seconds(pause));
}

static void fail_boot(struct ml_master *master, const char *reason)
{
    if (master->is_stopping)
        return;
    ml_master_log(master, "cannot start: %s", reason);
    master->status = EXIT_FAILURE;
    ml_places_stop(master, true);
}

void ml_place_start(struct ml_master *master, struct ml_worker_slot *slot)
{
    char reason[REASON_SIZE];
    int error;
    slot->start_at = ML_FOREVER;
    slot->current = ml_process_start(master, slot, master->generation, &error);
    if (slot->current != NULL)
        return;
    snprintf(reason, sizeof reason, "no process for worker %u: %s", slot->id, strerror(-error));
    if (master->has_booted) {
        ml_master_log(master, "%s", reason);
        start_later(master, slot, NULL);
    } else {
        fail_boot(master, reason);
    }
}

int ml_places_add(struct ml_master *master)
{
    struct ml_worker_slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL)
        return -ENOMEM;
    *slot = (struct ml_worker_slot){.id = ++master->count,
                                    .start_at = master->now,
                                    .tokens = restarts,
                                    .tokens_at = master->now};
    ml_list_insert(&master->slots, &slot->link);
    return 0;
}

/* ---- ends ---- */

static void abandon(struct ml_worker_process *process)
{
    if (process != NULL)
        process->slot = NULL;
}

static void free_slot(struct ml_worker_slot *slot)
{
    abandon(slot->current);
    abandon(slot->next);
    ml_list_remove(&slot->link);
    free(slot);
}

void ml_places_remove(struct ml_master *master)
{
    struct ml_worker_slot *slot = ml_slot_at(master->slots.prev);
    if (master->count <= 1)
        return;
    if (slot->current != NULL)
        ml_process_drain(master, slot->current, "there is one worker fewer", true);
    if (slot->next != NULL)
        ml_process_end(master, slot->next, "there is one worker fewer");
    ml_shares_forget_slot(master, slot->id);
    free_slot(slot);
    master->count--;
    ml_reload_check(master);
}

void ml_places_release(struct ml_master *master)
{
    while (!ml_list_is_empty(&master->slots))
        free_slot(ml_slot_at(master->slots.next));
}

/* "worker 2 (pid 71) has ended with status 1", and why. */
static void describe_end(char *text, size_t size, const struct ml_worker_process *process,
                         int status)
{
    char how[64];
    if (WIFSIGNALED(status))
        snprintf(how, sizeof how, "was ended by signal %d (%s)", WTERMSIG(status),
                 sigabbrev_np(WTERMSIG(status)) != NULL ? sigabbrev_np(WTERMSIG(status)) : "?");
    else
        snprintf(how, sizeof how, "has ended with status %d", WEXITSTATUS(status));
    snprintf(text, size, "worker %u (pid %ld) %s%s%s%s", process->slot_id, (long)process->pid, how,
             process->state == ML_WORKER_STARTING ? " before it was ready" : "",
             process->reason != NULL ? ": " : "", process->reason != NULL ? process->reason : "");
}

/* It was to replace the one that serves, and does not. */
static void next_ended(struct ml_master *master, struct ml_worker_slot *slot, const char *end)
{
    slot->next = NULL;
    slot->replace_at = ml_time_after(master->now, NEXT_TRY);
    if (master->reload.is_under_way)
        ml_reload_fail(master, end);
    else if (!master->is_stopping)
        ml_master_log(master, "worker %u is not replaced: %s", slot->id, end);
}

static bool are_all_done(const struct ml_master *master)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next)
        if (!ml_slot_at(link)->is_done)
            return false;
    return true;
}

/* It served, or was to. */
static void current_ended(struct ml_master *master, struct ml_worker_slot *slot,
                          const struct ml_worker_process *process, int status, const char *end)
{
    bool was_ready = process->ready_at > 0;
    slot->current = NULL;
    if (master->is_stopping)
        return;
    if (!was_ready && status == 0 && !master->has_booted) {
        slot->is_done = true;
        if (are_all_done(master))
            ml_places_stop(master, false);
    } else if (!master->has_booted && !was_ready) {
        fail_boot(master, end);
    } else if (slot->next != NULL && slot->next->state == ML_WORKER_READY) {
        ml_slot_swap(master, slot, NULL, false);
    } else {
        ml_master_log(master, "%s", end);
        start_later(master, slot, process);
    }
}

void ml_place_ended(struct ml_master *master, struct ml_worker_process *process, int status)
{
    char end[REASON_SIZE];
    struct ml_worker_slot *slot = process->slot;
    bool is_final = slot == NULL || slot->next == process || process->state == ML_WORKER_DRAINING;
    describe_end(end, sizeof end, process, status);
    if (slot != NULL && slot->next == process)
        next_ended(master, slot, end);
    else if (slot != NULL)
        current_ended(master, slot, process, status, end);
    else if (process->reason != NULL && WIFSIGNALED(status) && !master->is_stopping)
        ml_master_log(master, "%s", end);
    ml_shares_process_ended(master, process->serial, is_final);
    ml_peers_tell(master, ML_CONTROL_GONE, process);
    ml_figures_retire(master, process);
    ml_process_free(master, process);
}

/* ---- ready ---- */

static bool are_all_ready(const struct ml_master *master)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next) {
        const struct ml_worker_slot *slot = ml_slot_at(link);
        bool is_ready =
            slot->is_done || (slot->current != NULL && slot->current->state == ML_WORKER_READY);
        if (!is_ready)
            return false;
    }
    return true;
}

static void current_ready(struct ml_master *master, struct ml_worker_process *process)
{
    ml_shares_slot_ready(master, process);
    if (master->has_booted || !are_all_ready(master))
        return;
    master->has_booted = true;
    ml_master_log(master, "%u worker%s ready after %.0f ms", master->count,
                  master->count == 1 ? "" : "s",
                  ml_time_to_seconds(master->now - master->began_at) * 1000);
    ml_notify_ready(master);
    ml_reload_booted(master);
}

void ml_place_ready(struct ml_master *master, struct ml_worker_process *process)
{
    struct ml_worker_slot *slot = process->slot;
    if (process->state != ML_WORKER_STARTING)
        return;
    process->state = ML_WORKER_READY;
    process->ready_at = master->now;
    process->heard_at = master->now;
    if (slot == NULL)
        return;
    if (slot->current == process)
        ml_peers_tell(master, ML_CONTROL_JOINED, process);
    if (process == slot->current) {
        current_ready(master, process);
    } else if (master->reload.is_under_way) {
        ml_reload_check(master);
    } else {
        ml_master_log(master, "worker %u is replaced: it has served enough", slot->id);
        ml_slot_swap(master, slot, "it was replaced", true);
        ml_shares_slot_ready(master, process);
    }
}

/* ---- the end ---- */

void ml_places_stop(struct ml_master *master, bool is_at_once)
{
    if (!master->is_stopping) {
        ml_notify_stopping(master);
        ml_reload_fail(master, "the program is stopping");
    }
    master->is_stopping = true;
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        struct ml_worker_process *process = ml_process_at(link);
        if (is_at_once)
            ml_process_kill(process);
        else if (process->state == ML_WORKER_STARTING)
            ml_process_end(master, process, NULL);
        else
            ml_process_drain(master, process, NULL, false);
    }
}
