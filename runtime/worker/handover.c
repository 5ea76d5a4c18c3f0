#include "worker/handover.h"

#include "system/process/spawn.h"
#include "worker/figures.h"
#include "worker/handover_state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* "DESCRIPTOR:PID": the state that the program before has left to this process. */
#define VARIABLE "MOONLET_MASTER"

#define PATIENCE (10 * ML_SECOND)
#define LOOK (20 * ML_MILLISECOND)

bool ml_handover_is_check(char *const *arguments, int *status)
{
    size_t length = strlen(ML_HANDOVER_OPTION);
    const char *asked = arguments[0] != NULL ? arguments[1] : NULL;
    if (asked == NULL || strncmp(asked, ML_HANDOVER_OPTION, length) != 0)
        return false;
    *status = strtol(asked + length, NULL, 10) == ML_HANDOVER_VERSION ? EXIT_SUCCESS : EXIT_FAILURE;
    return true;
}

/* ---- the program's file ---- */

/* Looks for a name without "/" as the shell has. */
static char *find_in_path(const char *name)
{
    char path[PATH_MAX];
    const char *list = getenv("PATH");
    while (list != NULL && *list != '\0') {
        size_t length = strcspn(list, ":");
        snprintf(path, sizeof path, "%.*s/%s", (int)length, list, name);
        if (ml_program_is_at(path))
            return strdup(path);
        list += length + (list[length] == ':');
    }
    return NULL;
}

/* The name is kept as it is, but absolute: an upgrade may put another file behind a link. */
static char *find_program(const char *name)
{
    char whole[2 * PATH_MAX], directory[PATH_MAX];
    if (strchr(name, '/') == NULL)
        return find_in_path(name);
    if (name[0] == '/' || getcwd(directory, sizeof directory) == NULL)
        return strdup(name);
    snprintf(whole, sizeof whole, "%s/%s", directory, name);
    return strdup(whole);
}

void ml_handover_open(struct ml_master *master)
{
    const char *name = master->options.arguments[0];
    master->program = name != NULL ? find_program(name) : NULL;
}

void ml_handover_close(struct ml_master *master)
{
    free(master->program);
    master->program = NULL;
}

/* ---- the check ---- */

static void fail(const struct ml_master *master, const char *reason)
{
    ml_master_log(master, "no new program: %s: %s",
                  master->program != NULL ? master->program : "its file is not found", reason);
}

static const char *refusal(const struct ml_master *master)
{
    if (master->is_stopping)
        return "the program is stopping";
    if (!master->has_booted || master->reload.is_under_way)
        return "the workers are being started";
    if (master->check > 0)
        return "it is being checked";
    return master->program == NULL ? "the name that it was started by" : NULL;
}

void ml_handover_begin(struct ml_master *master)
{
    char option[64];
    const char *reason = refusal(master);
    if (reason != NULL) {
        fail(master, reason);
        return;
    }
    snprintf(option, sizeof option, "%s%d", ML_HANDOVER_OPTION, ML_HANDOVER_VERSION);
    const char *const paths[] = {master->program, NULL};
    const char *const arguments[] = {master->program, option, NULL};
    struct ml_spawned spawned;
    struct ml_spawn what = {.paths = paths,
                            .arguments = arguments,
                            .environment = (const char *const *)environ,
                            .files = {ML_SPAWN_INHERIT, ML_SPAWN_INHERIT, ML_SPAWN_INHERIT},
                            .terminal = -1,
                            .group = ML_SPAWN_NEW_GROUP,
                            .limits = ML_SPAWN_NO_LIMITS,
                            .mask = &master->mask,
                            .is_unwatched = true};
    int error = ml_spawn(&what, &spawned);
    if (error != 0) {
        fail(master, strerror(-error));
        return;
    }
    master->check = spawned.pid;
    master->check_until = ml_time_after(master->now, PATIENCE);
}

/* ---- the exec ---- */

static FILE *write_state(const struct ml_master *master)
{
    int fd = memfd_create("moonlet.master", MFD_CLOEXEC);
    FILE *file = fd >= 0 ? fdopen(fd, "w+") : NULL;
    if (file == NULL && fd >= 0)
        close(fd);
    if (file == NULL || (ml_handover_write(master, file) && fseek(file, 0, SEEK_SET) == 0))
        return file;
    fclose(file);
    return NULL;
}

/* Returns only if it fails. The signals stay blocked: none is lost. */
static void run_program(struct ml_master *master)
{
    char text[64];
    FILE *state = write_state(master);
    if (state == NULL) {
        fail(master, "its state cannot be written");
        return;
    }
    ml_figures_cancel(master);
    snprintf(text, sizeof text, "%d:%ld", fileno(state), (long)getpid());
    ml_master_log(master, "goes on as %s", master->program);
    setenv(VARIABLE, text, 1);
    fcntl(fileno(state), F_SETFD, 0);
    lseek(fileno(state), 0, SEEK_SET);
    ml_handover_keep(master, true);
    execv(master->program, master->options.arguments);
    int error = errno;
    ml_handover_keep(master, false);
    unsetenv(VARIABLE);
    fclose(state);
    fail(master, strerror(error));
}

ml_time ml_handover_turn(struct ml_master *master)
{
    int status = 0;
    if (master->check <= 0)
        return ML_FOREVER;
    if (waitpid(master->check, &status, WNOHANG) == 0) {
        if (master->now >= master->check_until)
            kill(master->check, SIGKILL);
        return ml_time_after(master->now, LOOK);
    }
    master->check = 0;
    if (refusal(master) != NULL)
        fail(master, refusal(master));
    else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        run_program(master);
    else
        fail(master, "it cannot take over from this version");
    return ML_FOREVER;
}

/* ---- in the new program ---- */

static int find_state(void)
{
    const char *text = getenv(VARIABLE);
    int fd = -1;
    long pid = 0;
    if (text == NULL)
        return -1;
    bool is_ours = sscanf(text, "%d:%ld", &fd, &pid) == 2 && pid == (long)getpid();
    unsetenv(VARIABLE);
    return is_ours ? fd : -1;
}

int ml_handover_take(struct ml_master *master)
{
    int fd = find_state();
    if (fd < 0)
        return 0;
    FILE *file = fdopen(fd, "r");
    if (file == NULL)
        return -errno;
    int error = ml_handover_read(master, file);
    fclose(file);
    ml_handover_keep(master, false);
    master->has_booted = true;
    return error == 0 ? 1 : error;
}
