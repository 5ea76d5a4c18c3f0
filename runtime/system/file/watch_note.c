#include "system/file/watch_note.h"

#include "base/check.h"
#include "system/file/watch_tell.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

/* The second half of a rename is looked for among so many notes behind the first. */
enum { RENAME_NOTES = 64 };

/* The longest time between a rename and its reports, unless the thread is stopped in between. */
#define LATE_REPORT (2 * ML_SECOND)

/* What becomes of the note: it is dropped, looked at again once an entry has left, or later. */
enum { APPLIED, AGAIN, LATER };

#define CHANGES (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

static bool is_about_directory(const struct ml_watch_note *note)
{
    return (note->mask & IN_ISDIR) != 0;
}

static struct ml_watch_dir *dir_of(struct ml_watch_claim *claim)
{
    return ml_container_of(claim, struct ml_watch_dir, claim);
}

static struct ml_watch_entry *find(const struct ml_file_watch *w, const struct ml_watch_dir *dir,
                                   const struct ml_watch_note *note)
{
    return ml_picture_find(&w->picture, dir->entry, note->name, note->size);
}

/* ---- one name ---- */

/* Notes when an entry came by a rename: it may be one half of an exchange, see is_exchange(). */
static void note_moved(struct ml_watch_entry *entry, const struct ml_watch_note *note)
{
    if ((note->mask & IN_MOVED_TO) != 0)
        entry->moved_at = ml_watch_units(note->read_at);
}

static int apply_new(struct ml_file_watch *w, struct ml_watch_dir *dir,
                     const struct ml_watch_note *note)
{
    struct ml_watch_entry *entry = NULL;
    int error =
        ml_watch_add(w, dir->entry, note->name, note->size, is_about_directory(note), &entry);
    if (error != 0)
        return error;
    note_moved(entry, note);
    return APPLIED;
}

/* A name has come. One that is there already: the listing showed it before the note was read, or it
 * is replaced. If that is a directory, it may be another one. */
static int apply_created(struct ml_file_watch *w, struct ml_watch_dir *dir,
                         const struct ml_watch_note *note)
{
    struct ml_watch_entry *entry = find(w, dir, note);
    bool is_directory = is_about_directory(note);
    if (entry == NULL)
        return apply_new(w, dir, note);
    if (entry->is_directory != is_directory) {
        ml_watch_remove(w, entry);
        return AGAIN;
    }
    if (entry->dir != NULL)
        ml_watch_list(w, entry->dir, false);
    note_moved(entry, note);
    bool is_replaced = !is_directory && (note->mask & IN_MOVED_TO) != 0;
    int error = is_replaced ? ml_watch_tell_changed(w, entry) : 0;
    return error != 0 ? error : APPLIED;
}

static int apply_removed(struct ml_file_watch *w, const struct ml_watch_dir *dir,
                         const struct ml_watch_note *note)
{
    struct ml_watch_entry *entry = find(w, dir, note);
    if (entry != NULL)
        ml_watch_remove(w, entry);
    return APPLIED;
}

/* A directory that could not be read may be readable now. */
static int apply_changed(struct ml_file_watch *w, const struct ml_watch_dir *dir,
                         const struct ml_watch_note *note)
{
    struct ml_watch_entry *entry = find(w, dir, note);
    if (entry == NULL)
        return APPLIED;
    if (entry->dir != NULL && entry->dir->claim.wd < 0)
        ml_watch_list(w, entry->dir, false);
    int error = ml_watch_tell_changed(w, entry);
    return error != 0 ? error : APPLIED;
}

/* ---- renames ---- */

/* The second half of the rename that begins with `from`; NULL: there is none. *is_final: none will
 * come. */
static struct ml_watch_note *second_half(const struct ml_file_watch *w,
                                         const struct ml_watch_note *from, bool *is_final)
{
    int count = 0;
    struct ml_watch_note *note = ml_watch_note_next(&w->inbox, from);
    while (note != NULL && count < RENAME_NOTES &&
           ((note->mask & IN_MOVED_TO) == 0 || note->cookie != from->cookie)) {
        note = ml_watch_note_next(&w->inbox, note);
        count++;
    }
    *is_final =
        count == RENAME_NOTES || ml_hub_now(w->source->hub) >= from->read_at + ML_WATCH_RENAME_SPAN;
    return count < RENAME_NOTES ? note : NULL;
}

/* Whether the directory was listed before the note came about. The kernel had nothing more to
 * report between the two, and some time has passed: it reports a rename a little later than it
 * makes it. */
static bool was_listed_before(const struct ml_watch_dir *dir, const struct ml_watch_note *note)
{
    return dir->claim.wd >= 0 && note->drained_at - dir->listed_at > LATE_REPORT;
}

/* Directories below a moved one that were listed at a time when the rename may have happened
 * already, though it was not known: under the old path there may have been another directory. */
static void list_below(struct ml_file_watch *w, struct ml_watch_entry *top,
                       const struct ml_watch_note *from)
{
    for (struct ml_watch_entry *entry = top; entry != NULL; entry = ml_picture_next(top, entry))
        if (entry->dir != NULL && !was_listed_before(entry->dir, from))
            ml_watch_list(w, entry->dir, false);
}

/* Moves an entry over the one that has the name, if any, and reports it. */
static int move(struct ml_file_watch *w, struct ml_watch_entry *entry,
                struct ml_watch_entry *target, const struct ml_watch_dir *to,
                const struct ml_watch_note *from, const struct ml_watch_note *note)
{
    struct ml_watch_event *event = ml_watch_renamed(w, entry, to->entry, note->name, note->size);
    if (event == NULL)
        return -ENOMEM;
    entry = ml_picture_move(&w->picture, entry, to->entry, note->name, note->size);
    if (entry == NULL) {
        free(event);
        return -ENOMEM;
    }
    if (target != NULL) {
        ml_picture_take_out(&w->picture, target);
        ml_picture_free(&w->picture, target);
    }
    uint64_t serial = ml_watch_events_put(&w->events, event);
    w->barrier = entry->is_directory ? serial : w->barrier;
    note_moved(entry, note);
    list_below(w, entry, from);
    return APPLIED;
}

/* A tree cannot be moved into itself: the picture is behind the disk. */
static int give_up(struct ml_file_watch *w)
{
    ml_watch_start_over(w);
    return APPLIED;
}

static int apply_rename(struct ml_file_watch *w, struct ml_watch_entry *entry,
                        const struct ml_watch_dir *to, const struct ml_watch_note *from,
                        struct ml_watch_note *note)
{
    struct ml_watch_entry *target = find(w, to, note);
    if (entry->is_directory != is_about_directory(note)) {
        ml_watch_remove(w, entry); /* the second half is then that of a rename from outside */
        return APPLIED;
    }
    if (ml_picture_is_below(to->entry, entry) ||
        (target != NULL && ml_picture_is_below(entry, target)))
        return give_up(w);
    if (target != NULL && target->is_directory) {
        ml_watch_remove(w, target);
        return AGAIN;
    }
    int result = move(w, entry, target, to, from, note);
    if (result == APPLIED)
        ml_watch_note_drop(&w->inbox, note);
    return result;
}

/* The directory of the second half, if it is in the picture; it never is for a single file, whose
 * watch sees one name. */
static struct ml_watch_dir *destination(const struct ml_file_watch *w,
                                        const struct ml_watch_note *note)
{
    struct ml_watch_claim *claim =
        w->only == NULL ? ml_watch_next_claim(w->source, &w->inbox, note->wd, NULL) : NULL;
    return claim != NULL ? dir_of(claim) : NULL;
}

/*
 * Whether this may be the second rename of an exchange: each of two entries is moved over the
 * other, and the one moved first is moved again, though its name stays taken. The first rename was
 * reported a moment ago; or may have been, before the directory was watched.
 */
static bool is_exchange(const struct ml_watch_dir *dir, const struct ml_watch_entry *entry,
                        const struct ml_watch_note *note)
{
    uint32_t span = ml_watch_units(note->drained_at) - entry->moved_at;
    bool was_moved = entry->moved_at != 0 && (int32_t)span < (int32_t)ml_watch_units(LATE_REPORT);
    return was_moved || note->drained_at - dir->claimed_at < LATE_REPORT;
}

static int apply_moved_from(struct ml_file_watch *w, struct ml_watch_dir *dir,
                            struct ml_watch_note *note)
{
    struct ml_watch_entry *entry = find(w, dir, note);
    if (entry == NULL)
        return APPLIED;
    bool is_final = w->only != NULL;
    struct ml_watch_note *second = is_final ? NULL : second_half(w, note, &is_final);
    if (second == NULL && !is_final) {
        w->again = note->read_at + ML_WATCH_RENAME_SPAN;
        return LATER;
    }
    if (is_exchange(dir, entry, note))
        ml_watch_list_later(w, dir); /* shows what has the name now */
    struct ml_watch_dir *to = second != NULL ? destination(w, second) : NULL;
    if (to != NULL)
        return apply_rename(w, entry, to, note, second);
    ml_watch_remove(w, entry);
    return APPLIED;
}

/* ---- the directory itself ---- */

static int apply_to_root(struct ml_file_watch *w, uint32_t mask)
{
    enum ml_watch_end end = (mask & IN_UNMOUNT) != 0       ? ML_WATCH_ROOT_UNMOUNTED
                            : (mask & IN_DELETE_SELF) != 0 ? ML_WATCH_ROOT_REMOVED
                            : (mask & IN_MOVE_SELF) != 0   ? ML_WATCH_ROOT_RENAMED
                                                           : ML_WATCH_GOES_ON;
    if (end != ML_WATCH_GOES_ON)
        ml_watch_finish(w, end);
    else if ((mask & CHANGES) != 0 && w->only == NULL)
        return ml_watch_tell_changed(w, w->picture.root);
    return 0;
}

static int apply_to_self(struct ml_file_watch *w, struct ml_watch_dir *dir,
                         const struct ml_watch_note *note)
{
    if ((note->mask & IN_IGNORED) != 0) {
        ml_watch_unclaim(w->source, &dir->claim);
        ml_watch_list(w, dir, false);
    } else if (dir->entry->parent == NULL) {
        int error = apply_to_root(w, note->mask);
        return error != 0 ? error : w->end != ML_WATCH_GOES_ON ? AGAIN : APPLIED;
    }
    return APPLIED;
}

/* ---- one note ---- */

static int apply_to_name(struct ml_file_watch *w, struct ml_watch_dir *dir,
                         struct ml_watch_note *note)
{
    if (w->only != NULL && strcmp(w->only, note->name) != 0)
        return APPLIED;
    if ((note->mask & IN_MOVED_FROM) != 0)
        return apply_moved_from(w, dir, note);
    if ((note->mask & (IN_CREATE | IN_MOVED_TO)) != 0)
        return apply_created(w, dir, note);
    if ((note->mask & IN_DELETE) != 0)
        return apply_removed(w, dir, note);
    return (note->mask & CHANGES) != 0 ? apply_changed(w, dir, note) : APPLIED;
}

/* Of several places of one directory (a bind mount, or a rename that is not known yet) the first
 * gets the note, the others are listed. */
static int apply(struct ml_file_watch *w, struct ml_watch_note *note)
{
    if ((note->mask & IN_Q_OVERFLOW) != 0)
        return give_up(w);
    struct ml_watch_claim *claim = ml_watch_next_claim(w->source, &w->inbox, note->wd, NULL);
    if (claim == NULL)
        return APPLIED;
    struct ml_watch_claim *other = claim;
    while ((other = ml_watch_next_claim(w->source, &w->inbox, note->wd, other)) != NULL)
        ml_watch_list(w, dir_of(other), false);
    return note->size > 0 ? apply_to_name(w, dir_of(claim), note)
                          : apply_to_self(w, dir_of(claim), note);
}

int ml_watch_step_note(struct ml_file_watch *w)
{
    struct ml_watch_note *note = ml_watch_note_first(&w->inbox);
    w->again = ML_FOREVER;
    if (w->inbox.is_lost) {
        w->inbox.is_lost = false;
        give_up(w);
        return ML_STEP_DONE;
    }
    if (note == NULL)
        return ML_STEP_NONE;
    w->noted_at = note->read_at;
    int result = apply(w, note);
    if (result == APPLIED)
        ml_watch_note_drop(&w->inbox, note);
    return result < 0 ? result : result == LATER ? ML_STEP_NONE : ML_STEP_DONE;
}
