/*
 * Slices. A task whose descriptors are always ready never waits: a fast peer could make it keep the
 * thread. So work at descriptors without a wait is counted, and when a slice is used up all tasks
 * that can run do. Parking a task begins a new slice (ml_hub_park()).
 */
#ifndef ML_HUB_WAIT_SLICE_H
#define ML_HUB_WAIT_SLICE_H

#include "base/check.h"
#include "hub/state/scope.h"

#include <sys/types.h>

/* Cost: 1 per operation, ML_SLICE_CALL per system call, 1 per KiB moved, which the task then has to
 * process. So a slice is 16 calls with small messages, about 10 us, or 128 KiB. */
enum { ML_SLICE = 128, ML_SLICE_CALL = 8 };

/* The running task goes on as if it had waited. */
static inline void ml_slice_renew(struct ml_hub *hub)
{
    hub->slice.spent = 0;
}

static inline void ml_slice_spend(struct ml_hub *hub, unsigned cost)
{
    hub->slice.spent += cost;
}

/* bytes: moved by a system call; negative: it failed. */
static inline void ml_slice_spend_bytes(struct ml_hub *hub, ssize_t bytes)
{
    hub->slice.spent += bytes > 0 ? (unsigned)(bytes / 1024) : 0;
}

static inline void ml_slice_spend_call(struct ml_hub *hub, ssize_t bytes)
{
    ml_slice_spend(hub, ML_SLICE_CALL);
    ml_slice_spend_bytes(hub, bytes);
}

static inline bool ml_slice_is_over(const struct ml_hub *hub)
{
    return ml_unlikely(hub->slice.spent >= ML_SLICE);
}

/* Ends the running task's slice: others run, and the hub polls if it is time to. 0 or an error of
 * ml_cancel_point(). */
int ml_slice_end(struct ml_hub *hub);

/* Counts a call that failed, such as a wait that was refused because the task is cancelled. So a
 * task that ignores the failure and retries in a loop still lets others run, and the hub look at
 * the clock. Passes over a cancellation: the caller tells its own failure. */
void ml_slice_refused(struct ml_hub *hub);

/* Begins an operation that may wait, which counts: a cancellation point, and the end of the slice
 * if that is over. 0 or an error of ml_cancel_point(). */
static inline int ml_slice_point(struct ml_hub *hub)
{
    ml_slice_spend(hub, 1);
    return ml_slice_is_over(hub) ? ml_slice_end(hub) : ml_cancel_point(hub);
}

/* The same for one that waits until `deadline` at most: with ML_NEVER_WAIT nothing is asked, and
 * nothing counts. */
static inline int ml_slice_point_until(struct ml_hub *hub, ml_time deadline)
{
    return deadline == ML_NEVER_WAIT ? 0 : ml_slice_point(hub);
}

#endif
