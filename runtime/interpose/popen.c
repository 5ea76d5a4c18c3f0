/* Commands at the other end of a file: popen, pclose. */
#include "hub/on/offload.h"
#include "interpose/call_wait.h"
#include "interpose/child_file.h"
#include "interpose/closing.h"
#include "interpose/result.h"
#include "interpose/stdio_file.h"
#include "system/process/orphans.h"
#include "system/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- popen ---- */

/* "r" or "w", and "e", which has no effect: no other child inherits the pipe in any case. False:
 * anything else. */
static bool read_mode(const char *mode, bool *writes)
{
    unsigned letters = 0;
    *writes = false;
    for (; *mode == 'r' || *mode == 'w' || *mode == 'e'; mode++) {
        letters += *mode != 'e';
        *writes |= *mode == 'w';
    }
    return *mode == '\0' && letters == 1;
}

/* fd: becomes descriptor `as` of the command, its standard input or output. Returns the process or
 * a negated errno. */
static pid_t spawn(const char *command, int fd, int as)
{
    struct ml_spawn what = ML_SPAWN_AS_LIBC;
    what.files[as] = fd;
    return ml_spawn_shell(what, command);
}

static void kill_command(pid_t pid)
{
    kill(pid, SIGKILL);
    ml_orphan_leave(NULL, pid);
}

/* Starts the command with the pipe's other end. 0 or a negated errno. */
static int begin(FILE *file, const char *command, int fd, bool writes)
{
    pid_t pid = spawn(command, fd, writes ? STDIN_FILENO : STDOUT_FILENO);
    if (pid < 0)
        return pid;
    int error = ml_child_file_add(file, pid);
    if (error != 0)
        kill_command(pid);
    return error;
}

FILE *ml_co_popen(struct ml_libc_calls *calls, const char *command, const char *mode)
{
    bool writes;
    int ends[2], saved = errno;
    if (calls->process != getpid())
        return ml_libc.popen(command, mode);
    ml_orphans_sweep();
    int error = read_mode(mode, &writes) ? 0 : -EINVAL;
    if (error == 0 && pipe2(ends, O_CLOEXEC) != 0)
        error = -errno;
    if (error != 0)
        return ml_fail(error), NULL;
    FILE *file = fdopen(ends[writes], writes ? "we" : "re");
    error = file != NULL ? begin(file, command, ends[!writes], writes) : -errno;
    ml_libc.close(ends[!writes]);
    if (error != 0) {
        if (file != NULL)
            ml_libc.plain_fclose(file);
        else
            ml_libc.close(ends[writes]);
        return ml_fail(error), NULL;
    }
    ml_closing_note(calls, ends[writes]); /* forgets what is remembered about the number */
    errno = saved;
    return file;
}

/* ---- pclose ---- */

struct pclose_job {
    struct ml_job job;
    FILE *file;
    int result;
};

static void run_pclose(struct ml_job *job)
{
    struct pclose_job *j = ml_container_of(job, struct pclose_job, job);
    j->result = ml_libc.plain_pclose(j->file);
}

static void release_pclose(struct ml_job *job)
{
    free(ml_container_of(job, struct pclose_job, job));
}

/* For a file that was opened outside of tasks: only libc knows its child. If the task is cancelled,
 * the worker still closes the file and waits for the child. */
static int close_on_worker(struct ml_libc_calls *calls, struct ml_libc_call entry, FILE *file)
{
    bool is_flushed = ml_co_fflush(calls, file) == 0;
    struct pclose_job *job = calloc(1, sizeof *job);
    calls->entry = entry;
    if (!ml_stdio_turn_away(calls, file) || job == NULL) {
        free(job);
        return ml_libc.plain_pclose(file);
    }
    job->job = (struct ml_job){
        .run = run_pclose, .release = release_pclose, .work = ML_WORK_CLOSE, .must_run = true};
    job->file = file;
    int error = ml_call_wait_job(calls, entry, &job->job);
    if (error != 0)
        return ml_fail(error);
    int result = job->result == 0 && !is_flushed ? -1 : job->result;
    release_pclose(&job->job);
    return result;
}

/* Returns the command's status. If the task is cancelled, the command goes on, and the loop notices
 * its end. */
static int await_command(struct ml_libc_calls *calls, struct ml_libc_call entry, pid_t pid)
{
    int status;
    pid_t ended;
    do {
        calls->entry = entry;
        ended = ml_co_wait4(calls, pid, &status, 0, NULL);
    } while (ended < 0 && errno == EINTR);
    if (ended < 0 && errno == ECANCELED)
        ml_orphan_leave(&calls->orphans, pid);
    return ended < 0 ? -1 : status;
}

/* In a finalizer the status is not needed: the file is closed, and the command goes on by
 * itself. */
static bool is_left(const struct ml_libc_calls *calls)
{
    return calls->owner.is_finalizing != NULL && calls->owner.is_finalizing(calls->hub);
}

int ml_co_pclose(struct ml_libc_calls *calls, FILE *file)
{
    struct ml_libc_call entry = calls->entry;
    bool is_ours = false;
    pid_t pid = ml_child_file_pid(file, &is_ours);
    ml_orphans_sweep();
    if (pid == 0)
        return close_on_worker(calls, entry, file);
    if (!is_ours)
        return ml_child_file_close(file);
    if (is_left(calls)) {
        ml_closing_note(calls, fileno_unlocked(file));
        ml_child_file_drop(file);
        ml_orphan_leave(&calls->orphans, pid);
        return 0;
    }
    int error = ml_stdio_close(calls, entry, file);
    int status = await_command(calls, entry, pid);
    return status == 0 && error != 0 ? ml_fail(error) : status;
}
