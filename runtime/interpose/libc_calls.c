#include "interpose/libc_calls.h"

#include "hub/on/poll_set.h"
#include "interpose/caller.h"
#include "interpose/held_locks.h"
#include "interpose/shells.h"
#include "interpose/stdio_file.h"
#include "interpose/task_buffers.h"
#include "system/process/orphans.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct ml_libc_calls *ml_libc_calls_open(struct ml_hub *hub)
{
    struct ml_libc_calls *calls = calloc(1, sizeof *calls);
    if (calls == NULL)
        return NULL;
    calls->hub = hub;
    calls->orphans.hub = hub;
    calls->process = getpid();
    calls->is_available = ml_libc.is_exported;
    ml_locks_init(calls);
    ml_shells_init(calls);
    return calls;
}

void ml_libc_calls_close(struct ml_libc_calls *calls)
{
    if (calls == NULL)
        return;
    ml_caller_release(calls);
    ml_task_buffers_release(calls);
    ml_shells_release(calls);
    ml_orphans_release(&calls->orphans);
    ml_locks_release(calls);
    ml_stdio_release(calls);
    free(calls);
}

void ml_libc_calls_interrupted(void)
{
    struct ml_bank *bank = ml_bank_current;
    int saved = errno;
    struct ml_hub *hub = bank != NULL ? ml_container_of(bank, struct ml_hub, bank) : NULL;
    if (hub != NULL && !hub->attention)
        ml_poll_sets_interrupt(hub);
    errno = saved;
}
