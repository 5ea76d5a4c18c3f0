#include "worker/master.h"

#include "system/signal/start_state.h"
#include "worker/clockwork.h"
#include "worker/figures.h"
#include "worker/handover.h"
#include "worker/kept_stores.h"
#include "worker/master_state.h"
#include "worker/notify.h"
#include "worker/places.h"
#include "worker/reload.h"
#include "worker/report_socket.h"
#include "worker/requests.h"
#include "worker/shares.h"
#include "worker/slots.h"
#include "worker/tickets.h"
#include "worker/worker_process.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* Without a pidfd the end of a process is looked for so often. */
#define LOOK (50 * ML_MILLISECOND)

/* The master itself is late by more than that: it was stopped, or the machine was. */
#define STALL ML_SECOND

/* ---- signals ---- */

static void add_worker(struct ml_master *master)
{
    if (master->is_stopping || master->count >= ML_WORKERS_MAX || ml_places_add(master) != 0)
        return;
    struct ml_worker_slot *slot = ml_slot_at(master->slots.prev);
    ml_master_log(master, "worker %u is added", slot->id);
    if (master->reload.is_under_way)
        ml_slot_start_next(master, slot, master->reload.generation);
}

static void on_signal(struct ml_master *master, unsigned number)
{
    switch (number) {
    case SIGTERM:
    case SIGINT:
        if (master->is_stopping && master->status == 0)
            master->status = 128 + (int)number;
        ml_places_stop(master, master->is_stopping);
        break;
    case SIGHUP:
        ml_reload_begin(master, NULL, 0);
        break;
    case SIGUSR2:
        ml_handover_begin(master);
        break;
    case SIGTTIN:
        add_worker(master);
        break;
    case SIGTTOU:
        if (!master->is_stopping)
            ml_places_remove(master);
        break;
    default:
        break;
    }
}

static void read_signals(struct ml_master *master)
{
    struct signalfd_siginfo info;
    while (read(master->signals, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(master, info.ssi_signo);
}

/* Those that the master takes. One that was ignored when the program began stays ignored. */
static sigset_t signals_of_master(void)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGTTIN, SIGTTOU, SIGUSR2};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaddset(&set, numbers[i]);
    return set;
}

/* ---- the loop ---- */

static unsigned fill_polls(struct ml_master *master)
{
    unsigned count = 0;
    master->polls[count++] = (struct pollfd){.fd = master->signals, .events = POLLIN};
    master->polls[count++] = (struct pollfd){.fd = master->report, .events = POLLIN};
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next) {
        struct ml_worker_process *process = ml_process_at(link);
        short out = process->control.waiting > 0 ? POLLOUT : 0;
        master->polls[count++] =
            (struct pollfd){.fd = process->control.fd, .events = (short)(POLLIN | out)};
        master->polls[count++] = (struct pollfd){.fd = process->pidfd, .events = POLLIN};
    }
    return count;
}

static void wait_until(struct ml_master *master, unsigned count, ml_time until)
{
    ml_time span = ml_time_between(ml_clock_now(), until);
    struct timespec limit = {.tv_sec = (time_t)(span / ML_SECOND),
                             .tv_nsec = (long)(span % ML_SECOND)};
    if (span <= 0)
        limit = (struct timespec){0};
    if (ppoll(master->polls, count, until == ML_FOREVER ? NULL : &limit, NULL) <= 0)
        for (unsigned i = 0; i < count; i++)
            master->polls[i].revents = 0;
}

static void serve_channel(struct ml_master *master, struct ml_worker_process *process, short events)
{
    if (process->control.fd < 0)
        return;
    if ((events & POLLOUT) != 0)
        ml_control_flush(&process->control);
    if ((events & ~POLLOUT) == 0 || ml_requests_serve(master, process))
        return;
    ml_control_close(&process->control); /* it ends, or is no worker any more */
    process->kill_at = ml_time_earlier(process->kill_at, ml_time_after(master->now, ML_SECOND));
}

/* The polls stand in the order of the processes; those that were started meanwhile come after them.
 */
static void serve_processes(struct ml_master *master, unsigned count)
{
    struct ml_link *next, *link = master->processes.next;
    for (unsigned i = ML_MASTER_POLLS; i < count; i += 2, link = next) {
        struct ml_worker_process *process = ml_process_at(link);
        int status = 0;
        next = link->next;
        short events = master->polls[i].revents;
        bool may_have_ended = process->pidfd < 0 || master->polls[i + 1].revents != 0;
        if (may_have_ended) /* what it has said last came after poll() had looked at the channel */
            events |= POLLIN;
        if (events != 0)
            serve_channel(master, process, events);
        if (may_have_ended && ml_process_reap(process, &status))
            ml_place_ended(master, process, status);
    }
}

static bool has_plain_process(const struct ml_master *master)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (ml_process_at(link)->pidfd < 0)
            return true;
    return false;
}

static bool is_over(const struct ml_master *master)
{
    return master->is_stopping && ml_list_is_empty(&master->processes);
}

/* What has come is handled before any worker is found late. A boot that fails before there is any
 * process is the end: there is nothing to wait for. */
static void turn(struct ml_master *master, ml_time *watchdog_at)
{
    ml_time until = ml_time_earlier(ml_clockwork_turn(master), *watchdog_at);
    until = ml_time_earlier(until, ml_tickets_turn(master));
    until = ml_time_earlier(until, ml_figures_turn(master));
    until = ml_time_earlier(until, ml_handover_turn(master));
    if (is_over(master))
        return;
    if (has_plain_process(master))
        until = ml_time_earlier(until, ml_time_after(master->now, LOOK));
    unsigned count = fill_polls(master);
    wait_until(master, count, until);
    ml_time before = until != ML_FOREVER && until > master->now ? until : master->now;
    master->now = ml_clock_now();
    if (until != ML_FOREVER && master->now - before > STALL)
        ml_clockwork_forgive(master, master->now - before);
    read_signals(master);
    if (master->polls[1].revents != 0)
        ml_report_socket_serve(master);
    serve_processes(master, count);
    if (master->now >= *watchdog_at) {
        ml_notify_alive(master);
        *watchdog_at = ml_time_after(master->now, ml_notify_interval());
    }
}

/* The manager hears of a new program at once: the one before it may have spoken long ago. */
static int run(struct ml_master *master)
{
    ml_time span = ml_notify_interval();
    ml_time watchdog_at = span != ML_FOREVER ? master->now : ML_FOREVER;
    while (!is_over(master))
        turn(master, &watchdog_at);
    return master->status;
}

/* ---- life ---- */

static void set_defaults(struct ml_master_options *options)
{
    if (options->grace == 0)
        options->grace = 30 * ML_SECOND;
    if (options->boot == 0)
        options->boot = 60 * ML_SECOND;
    if (options->stuck == 0)
        options->stuck = 10 * ML_SECOND;
    if (options->tickets == 0)
        options->tickets = 2 * 3600 * ML_SECOND; /* as long as OpenSSL's clients keep a session */
}

static void init(struct ml_master *master, const struct ml_master_options *options)
{
    *master = (struct ml_master){.options = *options,
                                 .generation = 1,
                                 .last_generation = 1,
                                 .signals = -1,
                                 .report = -1,
                                 .mask = ml_start_state->mask,
                                 .now = ml_clock_now()};
    set_defaults(&master->options);
    master->began_at = master->now;
    master->random = (uint64_t)master->now ^ (uint64_t)getpid();
    ml_list_init(&master->slots);
    ml_list_init(&master->processes);
    ml_list_init(&master->shares);
    ml_list_init(&master->stores);
    ml_list_init(&master->reload.waiters);
    ml_figures_open(master);
}

/* This program has taken over from another one: its own workers replace those of that one. */
static int resume(struct ml_master *master)
{
    master->poll_room = ML_MASTER_POLLS + 2 * master->process_count;
    struct pollfd *polls = realloc(master->polls, master->poll_room * sizeof *polls);
    if (polls == NULL)
        return -ENOMEM;
    master->polls = polls;
    ml_reload_begin(master, NULL, 0);
    return 0;
}

static int open_parts(struct ml_master *master)
{
    int error = ml_tickets_open(master);
    sigset_t set = signals_of_master();
    master->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    master->polls = malloc(ML_MASTER_POLLS * sizeof *master->polls);
    master->poll_room = ML_MASTER_POLLS;
    if (error != 0)
        return error;
    if (master->signals < 0)
        return -errno;
    if (master->polls == NULL)
        return -ENOMEM;
    ml_report_socket_open(master);
    ml_handover_open(master);
    error = ml_handover_take(master);
    if (error != 0)
        return error < 0 ? error : resume(master);
    ml_shares_take_inherited(master);
    for (unsigned i = 0; i < master->options.count && error == 0; i++)
        error = ml_places_add(master);
    return error;
}

static void release(struct ml_master *master)
{
    ml_figures_close(master);
    ml_handover_close(master);
    ml_report_socket_close(master);
    ml_places_release(master);
    ml_shares_release(master);
    ml_kept_stores_release(master);
    if (master->signals >= 0)
        close(master->signals);
    free(master->polls);
}

int ml_master_run(const struct ml_master_options *options, int *status)
{
    struct ml_master master;
    sigset_t set = signals_of_master(), before;
    if (options->count < 1 || options->count > ML_WORKERS_MAX)
        return -EINVAL;
    init(&master, options);
    pthread_sigmask(SIG_BLOCK, &set, &before);
    int error = open_parts(&master);
    if (error == 0)
        *status = run(&master);
    release(&master);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
