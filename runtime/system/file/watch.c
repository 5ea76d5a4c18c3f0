#include "system/file/watch.h"

#include "base/check.h"
#include "base/error.h"
#include "base/hostile.h"
#include "hub/state/waiters.h"
#include "hub/wait/slice.h"
#include "system/file/watch_compare.h"
#include "system/file/watch_find.h"
#include "system/file/watch_note.h"
#include "system/file/watch_tell.h"
#include "system/file/watch_waste.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * A batch of events: equal changes fold into one within it. Steps at most until others run; steps
 * that cost as much as one operation of a slice (measured: 150 ns each); reads of the kernel.
 */
enum { BATCH = ML_IS_HOSTILE ? 2 : 1024, STEPS = 4096, STEPS_OF_SLICE = 8, PUMPS = 4 };

static const struct ml_wait_kind waiting = {.text = "a change in a directory", .external = true};
static const struct ml_wait_kind settling = {.text = "the listing of a directory",
                                             .external = true};

void ml_file_watch_init(struct ml_file_watch *w)
{
    *w = (struct ml_file_watch){0};
}

/* ---- the life of a watch ---- */

static void drop_comparison(struct ml_file_watch *w)
{
    struct ml_watch_scan *scan = w->comparison.scan;
    if (scan == NULL)
        return;
    scan->owner = NULL;
    if (!w->comparison.is_finished)
        ml_watch_scan_end(w->source);
    ml_watch_scan_drop(scan);
    w->comparison.scan = NULL;
}

/* Ends the claims of a tree, so that it can be freed. */
static void unclaim_all(struct ml_file_watch *w, struct ml_watch_entry *top)
{
    for (struct ml_watch_entry *entry = top; entry != NULL; entry = ml_picture_next(top, entry))
        if (entry->dir != NULL)
            ml_watch_unclaim(w->source, &entry->dir->claim);
}

/* Entries that leave are a tree each; the root, which may be one of them, is freed last. What is
 * freed by a worker stands in no list of the watch. */
static void free_picture(struct ml_file_watch *w)
{
    struct ml_picture *picture = &w->picture;
    while (!ml_list_is_empty(&w->leaving)) {
        struct ml_watch_entry *top = ml_container_of(w->leaving.next, struct ml_watch_entry, link);
        ml_list_remove(&top->link);
        unclaim_all(w, top);
        if (top != picture->root)
            ml_picture_free_tree(picture, top);
    }
    if (picture->root != NULL)
        unclaim_all(w, picture->root);
    while (!ml_list_is_empty(&w->todo))
        ml_list_remove(w->todo.next);
    while (!ml_list_is_empty(&w->doubted))
        ml_list_remove(w->doubted.next);
    ml_watch_waste(w->source->hub, picture);
}

void ml_file_watch_close(struct ml_file_watch *w)
{
    if (w->source == NULL)
        return;
    drop_comparison(w);
    ml_watch_events_release(&w->events);
    ml_watch_unclaim_begin(w->source, w->source->claim_count);
    free_picture(w);
    ml_watch_unclaim_end(w->source);
    ml_watch_source_leave(w->source, &w->inbox);
    free(w->base);
    free(w->only);
    free(w->name);
    ml_file_watch_init(w);
}

/* Takes over the root's paths. */
static int open_parts(struct ml_file_watch *w, struct ml_watch_source *source, const char *path,
                      struct ml_watch_root *root)
{
    w->base = root->base;
    w->only = root->only;
    w->name = strdup(path);
    ml_list_init(&w->leaving);
    ml_list_init(&w->todo);
    ml_list_init(&w->doubted);
    ml_watch_events_init(&w->events);
    int error = w->name != NULL ? ml_picture_init(&w->picture) : -ENOMEM;
    if (error == 0)
        error = ml_watch_source_join(source, &w->inbox);
    if (error == 0) {
        w->source = source;
        return 0;
    }
    ml_picture_release(&w->picture);
    free(w->base);
    free(w->only);
    free(w->name);
    ml_file_watch_init(w);
    return error;
}

/* ---- steps ---- */

static int report_overflow(struct ml_file_watch *w)
{
    const struct ml_watch_entry *root = w->picture.root;
    int error = ml_watch_tell(w, ML_WATCH_OVERFLOW, root, "", 0, w->only == NULL);
    w->has_overflow = error != 0;
    return error != 0 ? error : ML_STEP_DONE;
}

/* While a worker lists, the picture stays as it is: the list names directories of it. */
static int step(struct ml_file_watch *w)
{
    int result = ml_watch_step_removed(w);
    if (result != ML_STEP_NONE)
        return result;
    if (w->comparison.scan != NULL)
        return ml_watch_step_compare(w);
    if (w->end != ML_WATCH_GOES_ON)
        return ML_STEP_NONE;
    if (w->has_overflow)
        return report_overflow(w);
    result = w->is_quiet ? ML_STEP_NONE : ml_watch_step_note(w);
    return result != ML_STEP_NONE ? result : ml_watch_step_scan(w);
}

/* Makes steps until there is a batch of events, or nothing left to do. 0 or an error. */
static int gather(struct ml_file_watch *w)
{
    int result = ML_STEP_DONE, steps = 0, pumps = 0;
    while (result > 0 && steps < STEPS && w->events.count < BATCH) {
        result = step(w);
        steps++;
        if (result == ML_STEP_NONE && pumps++ < PUMPS)
            result = ml_watch_pump(w->source);
    }
    ml_slice_spend(w->source->hub, (unsigned)steps / STEPS_OF_SLICE);
    w->has_more = result > 0;
    return result < 0 ? result : 0;
}

static int end_error(const struct ml_file_watch *w)
{
    return w->end == ML_WATCH_ROOT_UNMOUNTED ? -ENODEV : -ENOENT;
}

/* Whether a try has a result, and need not wait. */
static bool has_result(const struct ml_file_watch *w)
{
    return w->events.count > 0 || w->error != 0 || w->is_over;
}

static bool is_read(struct ml_file_watch *w)
{
    return ml_first_waiter(w->source->hub, &w->inbox.waiters) != NULL;
}

int ml_file_watch_look(struct ml_file_watch *w)
{
    if (!ml_file_watch_is_open(w) || is_read(w))
        return 0;
    if (!has_result(w))
        w->error = gather(w);
    return has_result(w) ? 0 : -EAGAIN;
}

/* Without waiting. -EAGAIN: there is nothing yet. */
static int try_next(struct ml_file_watch *w, const struct ml_watch_event **event)
{
    int error = ml_file_watch_look(w);
    if (error != 0)
        return error;
    *event = ml_watch_events_first(&w->events);
    if (*event != NULL)
        return 0;
    error = w->error != 0 ? w->error : end_error(w);
    w->error = 0;
    return error;
}

bool ml_file_watch_drop(struct ml_file_watch *w, uint64_t serial)
{
    const struct ml_watch_event *first =
        ml_file_watch_is_open(w) ? ml_watch_events_first(&w->events) : NULL;
    if (first == NULL || first->serial != serial)
        return false;
    ml_watch_events_drop(&w->events);
    return true;
}

/* ---- waits ---- */

/* After a try without an event: until the next may find one. 0 or an error. */
static int wait_for_more(struct ml_file_watch *w, const struct ml_wait_kind *kind, ml_time deadline)
{
    struct ml_hub *hub = w->source->hub;
    if (w->has_more)
        return ml_slice_end(hub);
    ml_watch_source_poll(w->source);
    int error =
        ml_wait_granted(hub, kind, 0, &w->inbox.waiters, 0, ml_time_earlier(deadline, w->again));
    if (!ml_file_watch_is_open(w))
        return error == -ECANCELED ? error : -ML_ECLOSED;
    return error == -ETIMEDOUT && w->again < deadline ? 0 : error;
}

int ml_file_watch_next(struct ml_file_watch *w, const struct ml_watch_event **event,
                       ml_time deadline)
{
    if (!ml_file_watch_is_open(w))
        return -ML_ECLOSED;
    if (is_read(w))
        return -EBUSY;
    int error = ml_slice_point_until(w->source->hub, deadline);
    while (error == 0 && (error = try_next(w, event)) == -EAGAIN)
        error = deadline == ML_NEVER_WAIT ? -ETIMEDOUT : wait_for_more(w, &waiting, deadline);
    return error;
}

int ml_file_watch_enter(struct ml_file_watch *w, struct ml_waiter *waiter, ml_time *again)
{
    if (!ml_file_watch_is_open(w))
        return -ML_ECLOSED;
    if (is_read(w))
        return -EBUSY;
    ml_time now = ml_hub_now(w->source->hub);
    *again = ml_time_earlier(*again, w->has_more ? now : w->again);
    ml_watch_source_poll(w->source);
    ml_list_insert(&w->inbox.waiters, &waiter->link);
    return 0;
}

/* ---- opening ---- */

static bool is_settled(const struct ml_file_watch *w)
{
    if (w->options.initial)
        return w->end != ML_WATCH_GOES_ON || w->picture.root->dir->claim.wd >= 0;
    return w->comparison.scan == NULL && ml_list_is_empty(&w->todo) &&
           ml_list_is_empty(&w->leaving);
}

/* Until the directories are watched and listed. */
static int settle(struct ml_file_watch *w)
{
    int error = 0;
    while (error == 0 && !is_settled(w)) {
        int result = ML_STEP_DONE;
        for (int i = 0; i < STEPS && result == ML_STEP_DONE && !is_settled(w); i++)
            result = step(w);
        w->has_more = result == ML_STEP_DONE;
        error = result < 0 ? result : is_settled(w) ? 0 : wait_for_more(w, &settling, ML_FOREVER);
    }
    return error;
}

int ml_file_watch_open(struct ml_file_watch *w, struct ml_watch_source *source, const char *path,
                       const struct ml_file_watch_options *options)
{
    struct ml_watch_root root = {0};
    int error = ml_cancel_point(source->hub);
    if (error == 0)
        error = ml_watch_find(source->hub, path, &root);
    if (error == 0)
        error = open_parts(w, source, path, &root);
    if (error != 0)
        return error;
    w->options = *options;
    w->again = ML_FOREVER;
    w->is_quiet = !options->initial;
    ml_watch_list(w, w->picture.root->dir, true);
    error = settle(w);
    if (error != 0)
        ml_file_watch_close(w);
    w->is_quiet = false;
    return error;
}
