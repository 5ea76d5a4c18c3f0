#include "system/file/watch_find.h"

#include "base/check.h"
#include "hub/on/offload.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct ml_wait_kind finding = {.text = "a directory to watch", .external = true};

struct find_job {
    struct ml_job job;
    struct ml_watch_root root;
    int error;
    char path[];
};

/* Cuts the path of a file into directory and name. 0 or -ENOMEM. */
static int split(struct ml_watch_root *root)
{
    char *slash = strrchr(root->base, '/');
    root->only = strdup(slash + 1);
    *slash = '\0';
    return root->only != NULL ? 0 : -ENOMEM;
}

static int find(const char *path, struct ml_watch_root *root)
{
    struct stat status;
    root->base = realpath(path, NULL);
    if (root->base == NULL || stat(root->base, &status) != 0)
        return -errno;
    if (!S_ISDIR(status.st_mode))
        return split(root);
    if (strcmp(root->base, "/") == 0)
        root->base[0] = '\0';
    return 0;
}

static void run(struct ml_job *base)
{
    struct find_job *job = ml_container_of(base, struct find_job, job);
    job->error = find(job->path, &job->root);
}

static void release(struct ml_job *base)
{
    struct find_job *job = ml_container_of(base, struct find_job, job);
    free(job->root.base);
    free(job->root.only);
    free(job);
}

int ml_watch_find(struct ml_hub *hub, const char *path, struct ml_watch_root *root)
{
    size_t size = strlen(path) + 1;
    struct find_job *job = malloc(sizeof *job + size);
    if (job == NULL)
        return -ENOMEM;
    *job = (struct find_job){.job = {.run = run, .release = release, .work = ML_WORK_DISK}};
    memcpy(job->path, path, size);
    int error = ml_offload(hub, &finding, &job->job, ML_FOREVER);
    if (error != 0)
        return error;
    error = job->error;
    if (error == 0) {
        *root = job->root;
        job->root = (struct ml_watch_root){0};
    }
    release(&job->job);
    return error;
}
