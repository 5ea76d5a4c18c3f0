#include "system/process/spawn_beside.h"

#include "hub/on/offload.h"
#include "system/process/orphans.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind start_kind = {.text = "the start of a program", .external = true};

enum { FILES = 4 }; /* the three standard files, and the terminal */

struct spawn_job {
    struct ml_job job;
    struct ml_spawn what; /* of copies: the task may be gone */
    struct ml_spawn_user user;
    struct ml_spawned child;
    int error;
    bool is_taken;        /* the process is the task's */
    struct statx program; /* what was learned of the disk */
    bool is_local;
    char *memory;
};

/* ---- a copy of the description ---- */

/* Where copies go: pointers from the begin of the memory on, bytes behind them. */
struct place {
    const char **pointers;
    char *bytes;
};

static size_t count_of(const char *const *list)
{
    size_t count = 0;
    while (list[count] != NULL)
        count++;
    return count;
}

static size_t bytes_of(const char *const *list)
{
    size_t size = 0;
    for (; *list != NULL; list++)
        size += strlen(*list) + 1;
    return size;
}

static const char *copy_text(struct place *place, const char *text)
{
    if (text == NULL)
        return NULL;
    size_t size = strlen(text) + 1;
    char *copy = memcpy(place->bytes, text, size);
    place->bytes += size;
    return copy;
}

static const char *const *copy_list(struct place *place, const char *const *list)
{
    const char **copy = place->pointers;
    for (; *list != NULL; list++)
        *place->pointers++ = copy_text(place, *list);
    *place->pointers++ = NULL;
    return copy;
}

static void copy_user(struct spawn_job *job, struct place *place)
{
    const struct ml_spawn_user *user = job->what.user;
    if (user == NULL)
        return;
    job->user = *user;
    job->user.groups = memcpy(place->bytes, user->groups, user->count * sizeof *user->groups);
    place->bytes += user->count * sizeof *user->groups;
    job->what.user = &job->user;
}

/* The numbers of descriptors become those of duplicates. 0 or a negated errno. */
static int copy_files(struct spawn_job *job)
{
    int *files[FILES] = {&job->what.files[0], &job->what.files[1], &job->what.files[2],
                         &job->what.terminal};
    int error = 0;
    for (int i = 0; i < FILES; i++) {
        if (*files[i] < 0)
            continue;
        *files[i] = error == 0 ? fcntl(*files[i], F_DUPFD_CLOEXEC, STDERR_FILENO + 1) : -1;
        if (*files[i] < 0 && error == 0)
            error = -errno;
    }
    return error;
}

static void close_files(struct spawn_job *job)
{
    for (int i = 0; i < FILES - 1; i++)
        if (job->what.files[i] >= 0)
            close(job->what.files[i]);
    if (job->what.terminal >= 0)
        close(job->what.terminal);
}

/* 0 or a negated errno. */
static int copy(struct spawn_job *job, const struct ml_spawn *what)
{
    const char *const *lists[] = {what->paths, what->arguments, what->environment};
    size_t groups = what->user != NULL ? what->user->count * sizeof *what->user->groups : 0;
    size_t pointers = 0, bytes = what->directory != NULL ? strlen(what->directory) + 1 : 0;
    for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
        pointers += count_of(lists[i]) + 1;
        bytes += bytes_of(lists[i]);
    }
    job->what = *what;
    job->memory = malloc(pointers * sizeof(char *) + groups + bytes);
    if (job->memory == NULL) {
        job->what.terminal = -1;
        for (int i = 0; i < FILES - 1; i++)
            job->what.files[i] = ML_SPAWN_CLOSED;
        return -ENOMEM;
    }
    struct place place = {(const char **)job->memory, job->memory + pointers * sizeof(char *)};
    copy_user(job, &place);
    job->what.paths = copy_list(&place, what->paths);
    job->what.arguments = copy_list(&place, what->arguments);
    job->what.environment = copy_list(&place, what->environment);
    job->what.directory = copy_text(&place, what->directory);
    return copy_files(job);
}

/* ---- the worker ---- */

static struct spawn_job *job_of(struct ml_job *job)
{
    return ml_container_of(job, struct spawn_job, job);
}

/* The disk of the first path that leads to a file. */
static void learn(struct spawn_job *job)
{
    int fd = -1;
    for (size_t i = 0; fd < 0 && job->what.paths[i] != NULL; i++)
        fd = open(job->what.paths[i], O_PATH | O_CLOEXEC);
    if (fd < 0)
        return;
    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &job->program) == 0)
        job->is_local = ml_disk_is_local(fd);
    close(fd);
}

static void run(struct ml_job *job)
{
    struct spawn_job *spawn = job_of(job);
    learn(spawn);
    spawn->error = ml_spawn(&spawn->what, &spawn->child);
}

/* A process that nobody wants any more is killed. */
static void release(struct ml_job *job)
{
    struct spawn_job *spawn = job_of(job);
    if (spawn->error == 0 && !spawn->is_taken) {
        kill(spawn->child.pid, SIGKILL);
        ml_orphan_leave(NULL, spawn->child.pid);
        if (spawn->child.pidfd >= 0)
            close(spawn->child.pidfd);
    }
    close_files(spawn);
    free(spawn->memory);
    free(spawn);
}

/* The program is started all the same: the task owns it for its last moments. */
static void give_up(struct ml_job *job)
{
    (void)job;
}

static int spawn_by_worker(struct ml_hub *hub, struct ml_disks *disks, const struct ml_spawn *what,
                           struct ml_spawned *child)
{
    struct spawn_job *spawn = calloc(1, sizeof *spawn);
    if (spawn == NULL)
        return -ENOMEM;
    spawn->job =
        (struct ml_job){.run = run, .release = release, .give_up = give_up, .work = ML_WORK_DISK};
    spawn->error = copy(spawn, what);
    if (spawn->error != 0) {
        int error = spawn->error;
        release(&spawn->job);
        return error;
    }
    spawn->error = -ECANCELED; /* until it has run */
    int error = ml_offload(hub, &start_kind, &spawn->job, ML_FOREVER);
    if (error != 0)
        return error;
    *child = spawn->child;
    spawn->is_taken = true;
    error = spawn->error;
    if (spawn->program.stx_mask != 0)
        ml_disks_learn(disks, &spawn->program, spawn->is_local);
    release(&spawn->job);
    return error;
}

/* ---- at once ---- */

/* Whether it is known where the path leads, and that no server is asked for it. *is_there: to a
 * file. */
static bool is_near(struct ml_disks *disks, const char *path, bool *is_there)
{
    struct statx status;
    int error = ml_quick_stat(path, true, &status);
    *is_there = error == 0;
    return error != -EAGAIN && (error != 0 || ml_disks_ask(disks, path, &status));
}

/* The new process closes what it does not need before its parent goes on: FUSE and NFS ask their
 * server then. */
static bool is_file_near(const struct ml_disks *disks, int fd)
{
    struct statx status;
    bool is_regular = fd >= 0 &&
                      statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &status) == 0 &&
                      S_ISREG(status.stx_mode);
    return !is_regular || ml_disks_is_local(disks, &status);
}

static bool is_all_near(struct ml_disks *disks, const struct ml_spawn *what)
{
    bool is_there = false;
    for (int i = 0; i < FILES - 1; i++)
        if (!is_file_near(disks, what->files[i]))
            return false;
    bool is = what->directory == NULL || is_near(disks, what->directory, &is_there);
    bool is_found = false;
    for (size_t i = 0; is && !is_found && what->paths[i] != NULL; i++)
        is = is_near(disks, what->paths[i], &is_found);
    return is;
}

int ml_spawn_beside(struct ml_hub *hub, struct ml_disks *disks, const struct ml_spawn *what,
                    struct ml_spawned *child)
{
    bool may_wait = what->may_wait && hub->current != NULL && !hub->life.is_forked;
    if (!may_wait || is_all_near(disks, what))
        return ml_spawn(what, child);
    return spawn_by_worker(hub, disks, what, child);
}
