#include "worker/clockwork.h"

#include "worker/places.h"
#include "worker/slots.h"
#include "worker/worker_process.h"

#include <signal.h>

/* A worker that does not answer has so long for its dump. */
#define DUMP ML_SECOND

static bool is_silent(const struct ml_master *master, const struct ml_worker_process *process)
{
    return process->state == ML_WORKER_READY &&
           master->now >= ml_time_after(process->heard_at, master->options.stuck);
}

static bool is_late(const struct ml_master *master, const struct ml_worker_process *process)
{
    return process->state == ML_WORKER_STARTING &&
           master->now >= ml_time_after(process->started_at, master->options.boot);
}

/* SIGQUIT has the worker print where its tasks are; then it is killed. */
static void end_with_dump(struct ml_master *master, struct ml_worker_process *process,
                          const char *reason)
{
    if (process->was_dumped)
        return;
    ml_master_log(master, "worker %u (pid %ld) is to be killed: %s", process->slot_id,
                  (long)process->pid, reason);
    process->was_dumped = true;
    process->reason = reason;
    process->kill_at = ml_time_after(master->now, DUMP);
    ml_process_signal(process, SIGQUIT);
}

static void turn_process(struct ml_master *master, struct ml_worker_process *process)
{
    if (is_silent(master, process))
        end_with_dump(master, process, "it did not answer");
    else if (is_late(master, process))
        end_with_dump(master, process, "it was not ready in time");
    if (master->now >= process->kill_at) {
        ml_process_kill(process);
    } else if (master->now >= process->term_at) {
        process->term_at = ML_FOREVER;
        ml_process_signal(process, SIGTERM);
    }
}

static ml_time next_of_process(const struct ml_master *master,
                               const struct ml_worker_process *process)
{
    ml_time next = ml_time_earlier(process->term_at, process->kill_at);
    if (process->was_dumped)
        return next;
    if (process->state == ML_WORKER_READY)
        next = ml_time_earlier(next, ml_time_after(process->heard_at, master->options.stuck));
    else if (process->state == ML_WORKER_STARTING)
        next = ml_time_earlier(next, ml_time_after(process->started_at, master->options.boot));
    return next;
}

/* The new process first; the old one drains when that serves. One place at a time, so that not all
 * are replaced at once. */
static bool replace(struct ml_master *master, struct ml_worker_slot *slot)
{
    struct ml_worker_process *old = slot->current;
    bool is_due = old != NULL && old->is_replaceable && old->state == ML_WORKER_READY &&
                  slot->next == NULL && master->now >= slot->replace_at;
    if (!is_due)
        return false;
    if (ml_slot_start_next(master, slot, master->generation) == 0)
        return true;
    slot->replace_at = ml_time_after(master->now, ML_SECOND);
    return false;
}

static bool is_replacing(const struct ml_master *master)
{
    for (struct ml_link *link = master->slots.next; link != &master->slots; link = link->next)
        if (ml_slot_at(link)->next != NULL)
            return true;
    return false;
}

static ml_time turn_slots(struct ml_master *master)
{
    ml_time next = ML_FOREVER;
    bool is_busy = !master->has_booted || master->reload.is_under_way || is_replacing(master);
    for (struct ml_link *link = master->slots.next; link != &master->slots && !master->is_stopping;
         link = link->next) {
        struct ml_worker_slot *slot = ml_slot_at(link);
        if (master->now >= slot->start_at)
            ml_place_start(master, slot);
        if (!is_busy)
            is_busy = replace(master, slot);
        next = ml_time_earlier(next, slot->start_at);
        if (slot->current != NULL && slot->current->is_replaceable && !is_busy)
            next = ml_time_earlier(next, slot->replace_at);
    }
    return next;
}

ml_time ml_clockwork_turn(struct ml_master *master)
{
    ml_time next = turn_slots(master);
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        turn_process(master, ml_process_at(link));
        next = ml_time_earlier(next, next_of_process(master, ml_process_at(link)));
    }
    return next;
}

void ml_clockwork_forgive(struct ml_master *master, ml_time span)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        struct ml_worker_process *process = ml_process_at(link);
        process->heard_at += span;
        if (process->state == ML_WORKER_STARTING)
            process->started_at += span;
    }
}
