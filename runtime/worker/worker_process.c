#include "worker/worker_process.h"

#include "system/process/spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

/* measured: cancelled tasks have 5 s to unwind (docs/architecture-bindings.md). */
#define UNWINDING (6 * ML_SECOND)

/* Four beats fit into the time after which a worker counts as stuck. */
#define LONGEST_BEAT ML_SECOND

/* Variables that are the master's own affair. */
static bool is_kept_back(const char *variable)
{
    static const char *const names[] = {
        ML_WORKER_VARIABLE "=", "NOTIFY_SOCKET=", "WATCHDOG_USEC=", "WATCHDOG_PID=",
        "LISTEN_PID=",          "LISTEN_FDS=",    "LISTEN_FDNAMES="};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strncmp(variable, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

/* This environment for a worker; the strings are shared. NULL: no memory. */
static const char **make_environment(const char *variable)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    const char **environment = calloc(count + 2, sizeof *environment);
    if (environment == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (!is_kept_back(environ[i]))
            environment[kept++] = environ[i];
    environment[kept] = variable;
    return environment;
}

/* The program is the one that runs here, whatever its file has become: the two sides of the channel
 * are of one version. */
static int run_program(const struct ml_master *master, int channel, struct ml_spawned *spawned)
{
    static const char *const paths[] = {"/proc/self/exe", NULL};
    char variable[64];
    snprintf(variable, sizeof variable, "%s=%d:%ld", ML_WORKER_VARIABLE, ML_SPAWN_PASSED,
             (long)getpid());
    const char **environment = make_environment(variable);
    if (environment == NULL)
        return -ENOMEM;
    struct ml_spawn what = {.paths = paths,
                            .arguments = (const char *const *)master->options.arguments,
                            .environment = environment,
                            .files = {ML_SPAWN_INHERIT, ML_SPAWN_INHERIT, ML_SPAWN_INHERIT},
                            .passed = channel,
                            .terminal = -1,
                            .group = ML_SPAWN_NEW_GROUP,
                            .limits = ML_SPAWN_NO_LIMITS,
                            .mask = &master->mask};
    int error = ml_spawn(&what, spawned);
    free(environment);
    return error;
}

/* The first message stands in the socket before the process begins. */
static void send_place(struct ml_master *master, struct ml_worker_process *process)
{
    struct ml_control_place place = {
        .slot = process->slot_id,
        .count = master->count,
        .generation = process->generation,
        .serial = process->serial,
        .beat = (uint64_t)ml_time_earlier(LONGEST_BEAT, master->options.stuck / 4),
        .grace = (uint64_t)master->options.grace,
        .tickets = master->tickets,
        .reuseport = master->options.reuseport};
    if (master->options.stuck != ML_FOREVER)
        place.dead_after = (uint64_t)(2 * master->options.stuck + master->options.grace);
    ml_process_send(process, ML_CONTROL_HELLO, 0, 0, &place, sizeof place, -1);
}

/* A number from `most` - 10 % to `most`, so that the workers do not all end at once. */
static uint64_t with_jitter(struct ml_master *master, uint64_t most)
{
    master->random = master->random * 6364136223846793005U + 1442695040888963407U;
    return most - (most / 10 * (master->random >> 33)) / (UINT64_C(1) << 31);
}

static struct ml_worker_process *new_process(struct ml_master *master, struct ml_worker_slot *slot,
                                             uint32_t generation)
{
    struct ml_worker_process *process = calloc(1, sizeof *process);
    if (process == NULL)
        return NULL;
    *process = (struct ml_worker_process){.slot = slot,
                                          .slot_id = slot->id,
                                          .generation = generation,
                                          .serial = ++master->last_serial,
                                          .pidfd = -1,
                                          .control.fd = -1,
                                          .started_at = master->now,
                                          .heard_at = master->now,
                                          .term_at = ML_FOREVER,
                                          .kill_at = ML_FOREVER};
    if (master->options.max_requests > 0)
        process->most_requests = with_jitter(master, master->options.max_requests);
    if (master->options.max_memory > 0)
        process->most_memory = with_jitter(master, master->options.max_memory);
    return process;
}

static int start(struct ml_master *master, struct ml_worker_process *process)
{
    int fds[2];
    struct ml_spawned spawned;
    int error = ml_control_pair(fds);
    if (error != 0)
        return error;
    ml_control_open(&process->control, fds[0]);
    send_place(master, process);
    error = run_program(master, fds[1], &spawned);
    close(fds[1]);
    if (error != 0)
        return error;
    process->pid = spawned.pid;
    process->pidfd = spawned.pidfd;
    return 0;
}

/* Room to poll one process more. */
static int reserve_polls(struct ml_master *master)
{
    unsigned room = ML_MASTER_POLLS + 2 * (master->process_count + 1);
    if (room <= master->poll_room)
        return 0;
    struct pollfd *polls = realloc(master->polls, 2 * room * sizeof *polls);
    if (polls == NULL)
        return -ENOMEM;
    master->polls = polls;
    master->poll_room = 2 * room;
    return 0;
}

struct ml_worker_process *ml_process_start(struct ml_master *master, struct ml_worker_slot *slot,
                                           uint32_t generation, int *error)
{
    struct ml_worker_process *process = NULL;
    *error = reserve_polls(master);
    if (*error != 0)
        return NULL;
    process = new_process(master, slot, generation);
    *error = process != NULL ? start(master, process) : -ENOMEM;
    if (*error != 0 && process != NULL) {
        ml_control_close(&process->control);
        free(process);
    }
    if (*error != 0)
        return NULL;
    ml_list_insert(&master->processes, &process->link);
    master->process_count++;
    return process;
}

void ml_process_signal(struct ml_worker_process *process, int number)
{
    if (process->pidfd >= 0)
        pidfd_send_signal(process->pidfd, number, NULL, 0);
    else
        kill(process->pid, number);
}

void ml_process_kill(struct ml_worker_process *process)
{
    process->kill_at = ML_FOREVER;
    process->term_at = ML_FOREVER;
    ml_process_signal(process, SIGKILL);
}

int ml_process_send(struct ml_worker_process *process, enum ml_control_type type, uint64_t request,
                    int error, const void *payload, size_t size, int fd)
{
    struct ml_control_head head = {
        .type = (uint8_t)type, .is_reply = request != 0, .error = error, .request = request};
    int result = ml_control_send(&process->control, &head, payload, size, &fd, fd >= 0);
    if (result == -ENOBUFS && process->pid > 0) {
        process->reason = "it has not read its messages";
        ml_process_kill(process);
    }
    return result;
}

void ml_process_drain(struct ml_master *master, struct ml_worker_process *process,
                      const char *reason, bool others_serve)
{
    struct ml_control_drain drain = {.grace = (uint64_t)master->options.grace,
                                     .others_serve = others_serve};
    if (process->state == ML_WORKER_DRAINING)
        return;
    process->state = ML_WORKER_DRAINING;
    process->reason = reason;
    process->term_at = ml_time_after(master->now, master->options.grace + ML_SECOND);
    process->kill_at = ml_time_after(process->term_at, UNWINDING);
    ml_process_send(process, ML_CONTROL_DRAIN, 0, 0, &drain, sizeof drain, -1);
}

void ml_process_end(struct ml_master *master, struct ml_worker_process *process, const char *reason)
{
    process->state = ML_WORKER_DRAINING;
    process->reason = reason;
    process->term_at = ML_FOREVER;
    process->kill_at = ml_time_after(master->now, UNWINDING);
    ml_process_signal(process, SIGTERM);
}

bool ml_process_reap(struct ml_worker_process *process, int *status)
{
    pid_t result;
    do
        result = waitpid(process->pid, status, WNOHANG);
    while (result < 0 && errno == EINTR);
    if (result < 0) /* other code of the process has waited for it */
        *status = 0;
    return result != 0;
}

void ml_process_free(struct ml_master *master, struct ml_worker_process *process)
{
    master->retired_requests += process->beat.requests;
    master->retired_connections += process->beat.connections;
    ml_list_remove(&process->link);
    master->process_count--;
    ml_control_close(&process->control);
    if (process->pidfd >= 0)
        close(process->pidfd);
    free(process);
}
