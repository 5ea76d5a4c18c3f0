#include "interpose/libc_call.h"

#include "hub/state/scope.h"
#include "hub/state/strand.h"
#include "hub/wait/wait.h"
#include "interpose/caller.h"
#include "interpose/fd_flags.h"
#include "interpose/no_wait.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

static const struct ml_wait_kind stubborn_kind = {.text = "the clock, in a C library",
                                                  .external = true};

/* The number of calls in a row that fail because the task is cancelled, before each further one
 * pauses. */
enum { PATIENCE = 1000 };
#define STUBBORN_PAUSE (10 * ML_MILLISECOND)

static const char *const reasons[] = {
    [ML_PLAIN_EXCLUDED] = "it is excluded",
    [ML_PLAIN_NO_WAIT] =
        "it is made inside pthread_once, a static initialiser or a callback of stdio",
    [ML_PLAIN_OWNER] = "it is made in a finalizer or inside task.no_switch",
    [ML_PLAIN_STACK] = "it is made on a stack of the library's own",
};

/* Reports to the owner, once for each reason. */
static void tell(struct ml_libc_calls *calls, struct ml_libc_call entry,
                 enum ml_plain_reason reason)
{
    char text[256];
    if (calls->owner.told == NULL || (calls->tally.told_reasons & 1U << reason) != 0)
        return;
    calls->tally.told_reasons |= (uint8_t)(1U << reason);
    snprintf(text, sizeof text, "%s() in %.80s makes every task wait: %s",
             ml_libc_function_name(entry.call), ml_caller_library(entry), reasons[reason]);
    calls->owner.told(calls->hub, text);
}

/* The child of a vfork() uses its parent's memory: the hub's tasks are not its own. */
static bool is_child(const struct ml_libc_calls *calls)
{
    return getpid() != calls->process;
}

static enum ml_plain_reason reason_against(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    const struct ml_libc_calls_owner *owner = &calls->owner;
    if (ml_caller_is_excluded(calls, entry))
        return ML_PLAIN_EXCLUDED;
    if (!ml_strand_holds(calls->hub->current->strand, __builtin_frame_address(0)))
        return ML_PLAIN_STACK;
    if (ml_no_wait_is_inside(calls, entry.frame))
        return ML_PLAIN_NO_WAIT;
    return owner->may_wait != NULL && !owner->may_wait(calls->hub) ? ML_PLAIN_OWNER : ML_PLAIN_NONE;
}

int ml_libc_call_begin(struct ml_libc_calls *calls, struct ml_libc_call entry)
{
    if (is_child(calls))
        return ML_PLAINLY;
    enum ml_plain_reason reason = reason_against(calls, entry);
    if (reason != ML_PLAIN_NONE) {
        calls->tally.counts[entry.call].blocked++;
        tell(calls, entry, reason);
        return ML_PLAINLY;
    }
    calls->tally.counts[entry.call].waited++;
    return 0;
}

bool ml_libc_call_is_stubborn(const struct ml_libc_calls *calls)
{
    return calls->tally.refused.task == calls->hub->current->id &&
           calls->tally.refused.count >= PATIENCE;
}

/* Libraries that retry whatever errno says must not keep the thread: after PATIENCE refused calls,
 * others run before each further one. */
static void pause_if_stubborn(struct ml_libc_calls *calls)
{
    uint64_t task = calls->hub->current->id;
    unsigned before = calls->tally.refused.task == task ? calls->tally.refused.count : 0;
    calls->tally.refused.count = before + 1;
    calls->tally.refused.task = task;
    if (!ml_libc_call_is_stubborn(calls))
        return;
    struct ml_scope *shield = ml_scope_open(calls->hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL)
        return;
    ml_time until = ml_time_after(ml_hub_now(calls->hub), STUBBORN_PAUSE);
    ml_wait(calls->hub, &stubborn_kind, 0, NULL, until);
    ml_scope_close(calls->hub, shield);
}

void ml_libc_call_end(struct ml_libc_calls *calls, int error)
{
    if (error == -ECANCELED)
        pause_if_stubborn(calls);
    if (calls->owner.has_waited != NULL)
        calls->owner.has_waited(calls->hub, error);
}

/* ---- slices ---- */

int ml_libc_call_end_slice(struct ml_libc_calls *calls)
{
    struct ml_libc_call entry = calls->entry;
    ml_slice_renew(calls->hub);
    if (is_child(calls) || reason_against(calls, entry) != ML_PLAIN_NONE)
        return 0;
    int error = ml_slice_end(calls->hub);
    ml_libc_call_end(calls, error);
    calls->entry = entry;
    return error;
}

void ml_libc_call_end_slice_later(struct ml_libc_calls *calls)
{
    ml_slice_renew(calls->hub);
    if (calls->owner.slice_is_over != NULL && !is_child(calls))
        calls->owner.slice_is_over(calls->hub);
}

int ml_libc_call_share_on(struct ml_libc_calls *calls, int fd)
{
    ml_slice_spend(calls->hub, ML_LIBC_CALL_COST);
    if (ml_likely(!ml_slice_is_over(calls->hub)))
        return 0;
    if (!ml_fd_flags_never_wait(ml_fd_flags_get(fd)))
        return ml_libc_call_end_slice(calls);
    ml_libc_call_end_slice_later(calls);
    return 0;
}
