#include "interpose/task_buffers.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Makes room for the slots up to `slot`. 0 or -ENOMEM. */
static int grow(struct ml_libc_calls *calls, uint32_t slot)
{
    uint32_t count = slot + 64;
    struct ml_task_buffers **buffers = realloc(calls->task_buffers.slots, count * sizeof(void *));
    if (buffers == NULL)
        return -ENOMEM;
    memset(buffers + calls->task_buffers.count, 0,
           (count - calls->task_buffers.count) * sizeof(void *));
    calls->task_buffers.slots = buffers;
    calls->task_buffers.count = count;
    return 0;
}

/* When a task ends, its record stays in its slot for the next task there. */
struct ml_task_buffers *ml_task_buffers_of(struct ml_libc_calls *calls)
{
    const struct ml_task *task = calls->hub->current;
    uint32_t slot = task->waiter.slot;
    if (slot >= calls->task_buffers.count && grow(calls, slot) != 0)
        return NULL;
    if (calls->task_buffers.slots[slot] == NULL)
        calls->task_buffers.slots[slot] = calloc(1, sizeof **calls->task_buffers.slots);
    struct ml_task_buffers *buffers = calls->task_buffers.slots[slot];
    if (buffers != NULL && buffers->task != task->id) {
        free(buffers->host_buffer);
        *buffers = (struct ml_task_buffers){.task = task->id};
    }
    return buffers;
}

void ml_task_buffers_release(struct ml_libc_calls *calls)
{
    for (uint32_t i = 0; i < calls->task_buffers.count; i++) {
        if (calls->task_buffers.slots[i] != NULL)
            free(calls->task_buffers.slots[i]->host_buffer);
        free(calls->task_buffers.slots[i]);
    }
    free(calls->task_buffers.slots);
    calls->task_buffers.slots = NULL;
    calls->task_buffers.count = 0;
}

/* ---- the calls ---- */

struct tm *ml_co_localtime(struct ml_libc_calls *calls, const time_t *time)
{
    struct ml_task_buffers *buffers = ml_task_buffers_of(calls);
    tzset(); /* as localtime() does, and localtime_r() need not (POSIX) */
    return buffers != NULL ? localtime_r(time, &buffers->tm) : ml_libc.localtime(time);
}

struct tm *ml_co_gmtime(struct ml_libc_calls *calls, const time_t *time)
{
    struct ml_task_buffers *buffers = ml_task_buffers_of(calls);
    return buffers != NULL ? gmtime_r(time, &buffers->tm) : ml_libc.gmtime(time);
}

/* Not asctime_r(), which refuses years of more than four digits. */
char *ml_co_asctime(struct ml_libc_calls *calls, const struct tm *tm)
{
    struct ml_task_buffers *buffers = ml_task_buffers_of(calls);
    char *text = ml_libc.asctime(tm);
    if (buffers == NULL || text == NULL)
        return text;
    return strncpy(buffers->time_text, text, sizeof buffers->time_text - 1);
}

char *ml_co_ctime(struct ml_libc_calls *calls, const time_t *time)
{
    struct tm *tm = ml_co_localtime(calls, time);
    return ml_co_asctime(calls, tm);
}

char *ml_co_inet_ntoa(struct ml_libc_calls *calls, struct in_addr address)
{
    struct ml_task_buffers *buffers = ml_task_buffers_of(calls);
    if (buffers == NULL)
        return ml_libc.inet_ntoa(address);
    inet_ntop(AF_INET, &address, buffers->address_text, sizeof buffers->address_text);
    return buffers->address_text;
}

/* Texts of known errors are constants; those of unknown errors need a buffer. */
char *ml_co_strerror(struct ml_libc_calls *calls, int error)
{
    const char *known = strerrordesc_np(error);
    struct ml_task_buffers *buffers = known == NULL ? ml_task_buffers_of(calls) : NULL;
    return buffers != NULL ? strerror_r(error, buffers->error_text, sizeof buffers->error_text)
                           : ml_libc.strerror(error);
}
