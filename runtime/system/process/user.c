#include "system/process/user.h"

#include "base/check.h"
#include "hub/on/offload.h"

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind lookup_kind = {.text = "a user's number", .external = true};

enum { ENTRY_LEAST = 1024, ENTRY_MOST = 1024 * 1024 };

struct lookup {
    struct ml_job job;
    char name[ML_USER_NAME]; /* of the user */
    const char *group;       /* points into `name`; NULL: the user's own */
    struct ml_user user;
    int error;
};

/* False: the text is no number of a user or group. */
static bool read_number(const char *text, unsigned *number)
{
    char *end = NULL;
    bool is_number = *text >= '0' && *text <= '9';
    unsigned long value = is_number ? strtoul(text, &end, 10) : 0;
    *number = (unsigned)value;
    return is_number && *end == '\0' && value < UINT_MAX;
}

/* getpwnam_r() or getpwuid_r(), with as much memory as the entry needs. `entry` points into
 * *memory, which the caller frees. */
static int find_entry(const char *name, struct passwd *entry, char **memory)
{
    unsigned number;
    bool is_number = read_number(name, &number);
    struct passwd *found = NULL;
    int error = ERANGE;
    *memory = NULL;
    for (size_t size = ENTRY_LEAST; error == ERANGE && size <= ENTRY_MOST; size *= 2) {
        char *larger = realloc(*memory, size);
        if (larger == NULL)
            return -ENOMEM;
        *memory = larger;
        error = is_number ? getpwuid_r(number, entry, larger, size, &found)
                          : getpwnam_r(name, entry, larger, size, &found);
    }
    return found != NULL ? 0 : error == ENOMEM || error == EIO ? -error : -ENOENT;
}

static void add_groups(struct ml_user *user, const char *name)
{
    user->count = ML_USER_GROUPS;
    if (getgrouplist(name, user->group, user->groups, &user->count) < 0)
        user->count = ML_USER_GROUPS;
}

static int find_user(struct lookup *lookup)
{
    struct passwd entry;
    char *memory;
    unsigned number;
    int error = find_entry(lookup->name, &entry, &memory);
    if (error == 0) {
        lookup->user.user = entry.pw_uid;
        lookup->user.group = entry.pw_gid;
        if (lookup->group == NULL)
            add_groups(&lookup->user, entry.pw_name);
    } else if (lookup->group != NULL && read_number(lookup->name, &number)) {
        lookup->user.user = number;
        error = 0;
    }
    free(memory);
    return error;
}

static int find_group(struct lookup *lookup)
{
    unsigned number;
    if (!read_number(lookup->group, &number)) {
        const struct group *group = getgrnam(lookup->group);
        if (group == NULL)
            return -ENOENT;
        number = group->gr_gid;
    }
    lookup->user.group = lookup->user.groups[0] = number;
    lookup->user.count = 1;
    return 0;
}

static void run(struct ml_job *job)
{
    struct lookup *lookup = ml_container_of(job, struct lookup, job);
    lookup->error = find_user(lookup);
    if (lookup->error == 0 && lookup->group != NULL)
        lookup->error = find_group(lookup);
}

static void release(struct ml_job *job)
{
    free(ml_container_of(job, struct lookup, job));
}

static struct lookup *new_lookup(const char *name)
{
    struct lookup *lookup = calloc(1, sizeof *lookup);
    if (lookup == NULL)
        return NULL;
    lookup->job = (struct ml_job){.run = run, .release = release, .work = ML_WORK_NAMES};
    memcpy(lookup->name, name, strlen(name) + 1);
    char *colon = strchr(lookup->name, ':');
    if (colon != NULL) {
        *colon = '\0';
        lookup->group = colon + 1;
    }
    return lookup;
}

int ml_user_find(struct ml_hub *hub, const char *name, struct ml_user *user)
{
    if (strlen(name) >= ML_USER_NAME)
        return -EINVAL;
    struct lookup *lookup = new_lookup(name);
    if (lookup == NULL)
        return -ENOMEM;
    int error = ml_offload(hub, &lookup_kind, &lookup->job, ML_FOREVER);
    if (error != 0)
        return error;
    error = lookup->error;
    *user = lookup->user;
    release(&lookup->job);
    return error;
}
