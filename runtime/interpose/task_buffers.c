#include "interpose/task_buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for the slots up to `slot`. 0 or -ENOMEM. */
static int grow(struct ml_foreign *f, uint32_t slot)
{
    uint32_t count = slot + 64;
    struct ml_task_statics **statics = realloc(f->statics, count * sizeof(void *));
    if (statics == NULL)
        return -ENOMEM;
    memset(statics + f->statics_count, 0, (count - f->statics_count) * sizeof(void *));
    f->statics = statics;
    f->statics_count = count;
    return 0;
}

/* A task's record stays behind in its slot when it ends, for the next one there. */
struct ml_task_statics *ml_statics_of(struct ml_foreign *f)
{
    const struct ml_task *task = f->hub->current;
    uint32_t slot = task->waiter.slot;
    if (slot >= f->statics_count && grow(f, slot) != 0)
        return NULL;
    if (f->statics[slot] == NULL)
        f->statics[slot] = calloc(1, sizeof **f->statics);
    struct ml_task_statics *statics = f->statics[slot];
    if (statics != NULL && statics->task != task->id) {
        free(statics->host_buffer);
        *statics = (struct ml_task_statics){.task = task->id};
    }
    return statics;
}

void ml_statics_release(struct ml_foreign *f)
{
    for (uint32_t i = 0; i < f->statics_count; i++) {
        if (f->statics[i] != NULL)
            free(f->statics[i]->host_buffer);
        free(f->statics[i]);
    }
    free(f->statics);
    f->statics = NULL;
    f->statics_count = 0;
}

/* ---- the calls ---- */

struct tm *ml_co_localtime(struct ml_foreign *f, const time_t *time)
{
    struct ml_task_statics *statics = ml_statics_of(f);
    tzset(); /* as localtime() does, and localtime_r() need not (POSIX) */
    return statics != NULL ? localtime_r(time, &statics->tm) : ml_libc.localtime(time);
}

struct tm *ml_co_gmtime(struct ml_foreign *f, const time_t *time)
{
    struct ml_task_statics *statics = ml_statics_of(f);
    return statics != NULL ? gmtime_r(time, &statics->tm) : ml_libc.gmtime(time);
}

/* Not asctime_r(), which refuses years of more than four digits. */
char *ml_co_asctime(struct ml_foreign *f, const struct tm *tm)
{
    struct ml_task_statics *statics = ml_statics_of(f);
    char *text = ml_libc.asctime(tm);
    if (statics == NULL || text == NULL)
        return text;
    return strncpy(statics->time_text, text, sizeof statics->time_text - 1);
}

char *ml_co_ctime(struct ml_foreign *f, const time_t *time)
{
    struct tm *tm = ml_co_localtime(f, time);
    return ml_co_asctime(f, tm);
}

char *ml_co_inet_ntoa(struct ml_foreign *f, struct in_addr address)
{
    struct ml_task_statics *statics = ml_statics_of(f);
    if (statics == NULL)
        return ml_libc.inet_ntoa(address);
    inet_ntop(AF_INET, &address, statics->address_text, sizeof statics->address_text);
    return statics->address_text;
}

/* Texts of known errors are constants; those of unknown ones need a buffer. */
char *ml_co_strerror(struct ml_foreign *f, int error)
{
    const char *known = strerrordesc_np(error);
    struct ml_task_statics *statics = known == NULL ? ml_statics_of(f) : NULL;
    return statics != NULL ? strerror_r(error, statics->error_text, sizeof statics->error_text)
                           : ml_libc.strerror(error);
}
