#include "system/file/watch_compare.h"

#include "base/check.h"
#include "hub/state/waiters.h"
#include "system/file/watch_tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* A directory that is listed, but cannot be found so many times, is given up. */
enum { MOST_FAILURES = 3 };

/* The kernel is quiet when it has reported nothing for so long. Directories that are listed then do
 * not wait longer than the second time. */
#define QUIET (50 * ML_MILLISECOND)
#define LONGEST_DOUBT (500 * ML_MILLISECOND)

/* ---- asking ---- */

/* malloc'd; NULL: no memory. */
static char *path_of(const struct ml_file_watch *w, const struct ml_watch_dir *dir)
{
    size_t base = strlen(w->base), below = ml_picture_path_size(dir->entry, 0);
    char *path = malloc(base + below + 2);
    if (path == NULL)
        return NULL;
    memcpy(path, w->base, base);
    path[base] = '/';
    size_t end = below > 0 || base == 0 ? base + 1 + below : base;
    ml_picture_write_path(dir->entry, "", 0, path + end);
    path[end] = '\0';
    return path;
}

/* Moves directories from the list into the job. 0 or -ENOMEM. */
static int fill(struct ml_file_watch *w, struct ml_watch_scan *scan)
{
    while (scan->count < ML_WATCH_SCAN_DIRS && !ml_list_is_empty(&w->todo)) {
        struct ml_watch_dir *dir = ml_container_of(w->todo.next, struct ml_watch_dir, todo);
        char *path = path_of(w, dir);
        if (path == NULL)
            return -ENOMEM;
        ml_list_remove(&dir->todo);
        scan->dirs[scan->count++] = (struct ml_watch_scanned){
            .dir = dir, .path = path, .wd = -1, .error = -EAGAIN, .is_deep = dir->is_deep};
        dir->is_deep = false;
    }
    return 0;
}

static void put_back(struct ml_file_watch *w, const struct ml_watch_scan *scan)
{
    for (uint32_t i = 0; i < scan->count; i++)
        ml_watch_list(w, scan->dirs[i].dir, scan->dirs[i].is_deep);
}

/* The directory is the kernel's number `wd`, whatever it was before. If another place in the tree
 * has that number as well, one of the two is out of date. */
static void claim(struct ml_file_watch *w, struct ml_watch_dir *dir, int wd)
{
    struct ml_watch_source *source = w->source;
    dir->listed_at = ml_hub_now(source->hub);
    if (dir->claim.wd == wd)
        return;
    if (ml_watch_was_stray(source, wd))
        ml_watch_list(w, dir, false);
    struct ml_watch_claim *other = NULL;
    while ((other = ml_watch_next_claim(source, &w->inbox, wd, other)) != NULL)
        ml_watch_list(w, ml_container_of(other, struct ml_watch_dir, claim), false);
    dir->is_moved = dir->claim.wd >= 0;
    ml_watch_unclaim(source, &dir->claim);
    ml_watch_claim(source, &dir->claim, &w->inbox, wd);
    dir->claimed_at = dir->listed_at;
}

/* On the hub, right after the job: from here on notes find their directory. */
static void finished(struct ml_watch_scan *scan)
{
    struct ml_file_watch *w = scan->owner;
    w->comparison.is_finished = true;
    for (uint32_t i = 0; i < scan->count; i++)
        if (scan->dirs[i].wd >= 0)
            claim(w, scan->dirs[i].dir, scan->dirs[i].wd);
    ml_watch_scan_end(w->source);
    ml_wake_first(w->source->hub, &w->inbox.waiters);
}

static int start(struct ml_file_watch *w, struct ml_watch_scan *scan)
{
    int error = ml_watch_claims_reserve(w->source);
    if (error == 0)
        error = fill(w, scan);
    scan->owner = w;
    scan->finished = finished;
    if (error == 0)
        error = ml_watch_scan_start(scan, w->source->hub);
    if (error != 0) {
        put_back(w, scan);
        ml_watch_scan_drop(scan);
        return error;
    }
    w->comparison = (struct ml_watch_comparison){.scan = scan, .number = w->comparison.number};
    ml_watch_scan_begin(w->source);
    return 0;
}

/* Has directories listed that wait for the kernel to be quiet, or sets w->again. */
static void list_doubted(struct ml_file_watch *w)
{
    if (ml_list_is_empty(&w->doubted))
        return;
    ml_time due = ml_time_earlier(w->noted_at + QUIET, w->doubted_at + LONGEST_DOUBT);
    if (w->source->drained_at < due) {
        w->again = ml_time_earlier(w->again, due);
        return;
    }
    while (!ml_list_is_empty(&w->doubted))
        ml_watch_list(w, ml_container_of(w->doubted.next, struct ml_watch_dir, todo), false);
}

int ml_watch_step_scan(struct ml_file_watch *w)
{
    list_doubted(w);
    if (w->comparison.scan != NULL || ml_list_is_empty(&w->todo))
        return ML_STEP_NONE;
    struct ml_watch_scan *scan = ml_watch_scan_new(w->source->kernel, w->only);
    return scan != NULL ? start(w, scan) : -ENOMEM;
}

/* ---- comparing ---- */

/* An entry that is in the listing and in the picture. False: they are of different kinds. */
static int compare_entry(struct ml_file_watch *w, const struct ml_watch_scanned *scanned,
                         struct ml_watch_entry *entry, const struct ml_watch_listed *row)
{
    const struct ml_watch_dir *dir = scanned->dir;
    bool is_new_place = scanned->is_deep || dir->is_moved;
    if (entry->dir != NULL && (is_new_place || entry->dir->claim.wd < 0))
        ml_watch_list(w, entry->dir, scanned->is_deep);
    bool has_changed = !row->is_directory && entry->changed_at != row->changed_at;
    int error = has_changed ? ml_watch_tell_changed(w, entry) : 0;
    if (error == 0)
        entry->changed_at = row->changed_at;
    return error;
}

static int compare_row(struct ml_file_watch *w, const struct ml_watch_scanned *scanned)
{
    struct ml_watch_comparison *c = &w->comparison;
    const struct ml_watch_dir *dir = scanned->dir;
    const char *at = ml_buffer_data(&c->scan->listing) + c->at;
    const struct ml_watch_listed *row = (const void *)at;
    const char *name = at + sizeof *row;
    struct ml_watch_entry *entry = ml_picture_find(&w->picture, dir->entry, name, row->size);
    if (entry != NULL && entry->is_directory != row->is_directory) {
        ml_watch_remove(w, entry); /* and compared again */
        return ML_STEP_DONE;
    }
    int error = entry == NULL
                    ? ml_watch_add(w, dir->entry, name, row->size, row->is_directory, &entry)
                    : compare_entry(w, scanned, entry, row);
    if (error != 0)
        return error;
    entry->changed_at = row->changed_at;
    entry->seen = c->number;
    c->at += ml_watch_listed_size(row->size);
    return ML_STEP_DONE;
}

static void next_directory(struct ml_file_watch *w)
{
    w->comparison.dir++;
    w->comparison.is_begun = false;
}

/* What the picture has and the listing has not is gone. */
static void end_directory(struct ml_file_watch *w, struct ml_watch_dir *dir)
{
    for (struct ml_link *l = dir->entries.next, *next; l != &dir->entries; l = next) {
        next = l->next;
        struct ml_watch_entry *entry = ml_container_of(l, struct ml_watch_entry, link);
        if (entry->seen != w->comparison.number)
            ml_watch_remove(w, entry);
    }
    dir->failures = 0;
    dir->is_moved = false;
    next_directory(w);
}

static bool is_absent(int error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ELOOP;
}

/* The directory is not at its path: it is gone, which its own directory will show; or a directory
 * above was renamed, which will be reported. */
static void miss(struct ml_file_watch *w, struct ml_watch_dir *dir)
{
    if (dir->entry->parent == NULL)
        ml_watch_finish(w, ML_WATCH_ROOT_REMOVED);
    else if (++dir->failures < MOST_FAILURES)
        ml_watch_list(w, dir->entry->parent->dir, false);
    else
        dir->failures = 0;
}

/* Whether the error is about this process at this moment. */
static bool is_passing(int error)
{
    return error == -ENOMEM || error == -EMFILE || error == -ENFILE || error == -EAGAIN;
}

/* Whether it says that the directory is in the picture without what is in it. */
static bool is_closed_to_us(int error)
{
    return error == -EACCES || error == -EPERM || error == -ENOSPC;
}

/* Whether to try again after an error. Each other one is tried a few times. */
static bool is_tried_again(struct ml_watch_dir *dir, int error)
{
    if (is_passing(error))
        return true;
    if (is_closed_to_us(error))
        return false;
    dir->failures = dir->failures + 1 < MOST_FAILURES ? dir->failures + 1 : 0;
    return dir->failures != 0;
}

/* Whether the reader is not told of an error of a directory below the root: it was not reached, it
 * may not be read, or the watch is about to be opened and does well without it. */
static bool is_silent(const struct ml_file_watch *w, int error)
{
    if (is_passing(error) || error == -ENOSPC)
        return error == -EAGAIN;
    return w->is_quiet || is_closed_to_us(error);
}

static int fail(struct ml_file_watch *w, const struct ml_watch_scanned *scanned)
{
    struct ml_watch_dir *dir = scanned->dir;
    int error = scanned->error;
    bool is_root = dir->entry->parent == NULL;
    next_directory(w);
    if (is_absent(error) && !(is_root && w->is_quiet)) {
        miss(w, dir);
        return ML_STEP_DONE;
    }
    if (is_tried_again(dir, error))
        ml_watch_list(w, dir, scanned->is_deep);
    bool is_hidden = is_root ? error == -EAGAIN : is_silent(w, error);
    return is_hidden ? ML_STEP_DONE : error;
}

static void begin_directory(struct ml_file_watch *w, const struct ml_watch_scanned *scanned)
{
    w->comparison.is_begun = true;
    w->comparison.at = scanned->start;
    w->comparison.number++;
}

static void end_comparison(struct ml_file_watch *w)
{
    ml_watch_scan_drop(w->comparison.scan);
    w->comparison = (struct ml_watch_comparison){.number = w->comparison.number};
}

int ml_watch_step_compare(struct ml_file_watch *w)
{
    struct ml_watch_comparison *c = &w->comparison;
    if (c->scan == NULL || !c->is_finished)
        return ML_STEP_NONE;
    if (c->dir == c->scan->count || w->end != ML_WATCH_GOES_ON) {
        end_comparison(w);
        return ML_STEP_DONE;
    }
    const struct ml_watch_scanned *scanned = &c->scan->dirs[c->dir];
    if (scanned->dir == NULL) {
        next_directory(w);
        return ML_STEP_DONE;
    }
    if (scanned->error != 0)
        return fail(w, scanned);
    if (!c->is_begun)
        begin_directory(w, scanned);
    if (c->at < scanned->end)
        return compare_row(w, scanned);
    end_directory(w, scanned->dir);
    return ML_STEP_DONE;
}
