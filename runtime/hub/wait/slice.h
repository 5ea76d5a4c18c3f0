/*
 * Slices. A task whose descriptors are ready whenever it looks never waits: a peer that is faster
 * would have it keep the thread. So work at descriptors that came without a wait is counted, and
 * when a slice is used up everybody who can run does. Whatever parks the task begins a new slice
 * (ml_hub_park()).
 */
#ifndef ML_HUB_WAIT_SLICE_H
#define ML_HUB_WAIT_SLICE_H

#include "base/check.h"
#include "hub/state/scope.h"

#include <sys/types.h>

/* What an operation counts: 1; for a call of the kernel, ML_SLICE_CALL; for each KB that it moved,
 * 1, as the task has work with it. So a slice is 16 calls with small messages, about 10 us, or 128
 * KB. */
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

/* bytes: what a call moved; negative: it failed. */
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

/* Ends the running task's slice: others run, and timers and descriptors are looked at if it is time
 * to. 0 or an error of ml_cancel_point(). */
int ml_slice_end(struct ml_hub *hub);

/* A wait was refused, for the task is cancelled: counts, too. Who takes no notice and tries again
 * keeps nobody from running, nor the hub from looking at the clock. */
void ml_slice_refused(struct ml_hub *hub);

/* At the begin of an operation that may wait, which counts: a cancel point, and the end of the
 * slice if that is over. 0 or an error of ml_cancel_point(). */
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
