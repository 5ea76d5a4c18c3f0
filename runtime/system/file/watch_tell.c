#include "system/file/watch_tell.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- paths as the reader gets them ---- */

static bool needs_slash(const struct ml_file_watch *w, size_t size)
{
    return size > 0 && w->name[size - 1] != '/';
}

/* Bytes of the path of a name in the directory `parent`. */
static size_t path_size(const struct ml_file_watch *w, const struct ml_watch_entry *parent,
                        size_t name_size)
{
    size_t size = strlen(w->name);
    size_t below = w->only == NULL ? ml_picture_path_size(parent, name_size) : 0;
    return below > 0 ? size + needs_slash(w, size) + below : size;
}

static void write_path(const struct ml_file_watch *w, const struct ml_watch_entry *parent,
                       const char *name, size_t name_size, char *path, size_t size)
{
    size_t root = strlen(w->name);
    memcpy(path, w->name, root);
    if (size == root)
        return;
    path[root] = '/';
    ml_picture_write_path(parent, name, name_size, path + size);
}

/* ---- events ---- */

int ml_watch_tell(struct ml_file_watch *w, enum ml_watch_kind kind,
                  const struct ml_watch_entry *parent, const char *name, size_t name_size,
                  bool is_directory)
{
    if (w->is_quiet)
        return 0;
    size_t size = path_size(w, parent, name_size);
    struct ml_watch_event *event = ml_watch_event_new(kind, size, 0);
    if (event == NULL)
        return -ENOMEM;
    write_path(w, parent, name, name_size, event->path, size);
    event->is_directory = is_directory;
    ml_watch_events_put(&w->events, event);
    return 0;
}

/* The parent by which an entry is named; the root is named by itself. */
static const struct ml_watch_entry *parent_of(const struct ml_watch_entry *entry)
{
    return entry->parent != NULL ? entry->parent : entry;
}

int ml_watch_tell_changed(struct ml_file_watch *w, struct ml_watch_entry *entry)
{
    entry->changed_at = ML_WATCH_UNKNOWN;
    if (entry->told > w->events.delivered && entry->told > w->barrier)
        return 0;
    int error = ml_watch_tell(w, ML_WATCH_CHANGED, parent_of(entry), entry->name, entry->size,
                              entry->is_directory);
    if (error == 0 && !w->is_quiet)
        entry->told = w->events.serial;
    return error;
}

struct ml_watch_event *ml_watch_renamed(struct ml_file_watch *w, const struct ml_watch_entry *entry,
                                        const struct ml_watch_entry *parent, const char *name,
                                        size_t name_size)
{
    size_t from = path_size(w, entry->parent, entry->size);
    size_t to = path_size(w, parent, name_size);
    struct ml_watch_event *event = ml_watch_event_new(ML_WATCH_RENAMED, to, from);
    if (event == NULL)
        return NULL;
    write_path(w, parent, name, name_size, event->path, to);
    write_path(w, entry->parent, entry->name, entry->size, event->path + to + 1, from);
    event->is_directory = entry->is_directory;
    return event;
}

int ml_watch_add(struct ml_file_watch *w, struct ml_watch_entry *parent, const char *name,
                 size_t name_size, bool is_directory, struct ml_watch_entry **entry)
{
    bool has_dir = is_directory && w->options.recursive;
    struct ml_watch_entry *added = ml_picture_add(&w->picture, parent, name, name_size, has_dir);
    if (added == NULL)
        return -ENOMEM;
    added->is_directory = is_directory;
    int error = ml_watch_tell(w, ML_WATCH_CREATED, parent, name, name_size, is_directory);
    if (error != 0) {
        ml_picture_take_out(&w->picture, added);
        ml_picture_free(&w->picture, added);
        return error;
    }
    added->told = w->is_quiet ? 0 : w->events.serial;
    if (has_dir)
        ml_watch_list(w, added->dir, false);
    *entry = added;
    return 0;
}

/* ---- what leaves ---- */

void ml_watch_remove(struct ml_file_watch *w, struct ml_watch_entry *entry)
{
    ml_picture_take_out(&w->picture, entry);
    ml_list_insert(&w->leaving, &entry->link);
}

/* An entry without entries below, the first of those that leave. */
static struct ml_watch_entry *first_leaf(const struct ml_file_watch *w)
{
    struct ml_watch_entry *entry = ml_container_of(w->leaving.next, struct ml_watch_entry, link);
    while (entry->dir != NULL && !ml_list_is_empty(&entry->dir->entries))
        entry = ml_container_of(entry->dir->entries.next, struct ml_watch_entry, link);
    return entry;
}

/* The directory is about to be freed: a comparison under way leaves it out. */
static void forget(struct ml_file_watch *w, const struct ml_watch_dir *dir)
{
    struct ml_watch_scan *scan = w->comparison.scan;
    for (uint32_t i = 0; scan != NULL && i < scan->count; i++)
        if (scan->dirs[i].dir == dir)
            scan->dirs[i].dir = NULL;
}

int ml_watch_step_removed(struct ml_file_watch *w)
{
    if (ml_list_is_empty(&w->leaving))
        return ML_STEP_NONE;
    struct ml_watch_entry *entry = first_leaf(w);
    bool is_told = entry->parent != NULL || w->only == NULL;
    int error = is_told ? ml_watch_tell(w, ML_WATCH_REMOVED, parent_of(entry), entry->name,
                                        entry->size, entry->is_directory)
                        : 0;
    if (error != 0)
        return error;
    if (&entry->link == w->leaving.next)
        ml_list_remove(&entry->link);
    else
        ml_picture_take_out(&w->picture, entry);
    if (entry->dir != NULL) {
        ml_watch_unclaim(w->source, &entry->dir->claim);
        forget(w, entry->dir);
    }
    w->is_over |= entry->parent == NULL;
    ml_picture_free(&w->picture, entry);
    return ML_STEP_DONE;
}

void ml_watch_finish(struct ml_file_watch *w, enum ml_watch_end end)
{
    w->end = end;
    ml_watch_notes_drop_all(&w->inbox);
    ml_list_insert(&w->leaving, &w->picture.root->link);
}

/* ---- what is to be listed ---- */

void ml_watch_list(struct ml_file_watch *w, struct ml_watch_dir *dir, bool deep)
{
    dir->is_deep |= deep;
    if (dir->is_doubted)
        ml_list_remove(&dir->todo);
    dir->is_doubted = false;
    if (!ml_link_is_in_list(&dir->todo))
        ml_list_insert(&w->todo, &dir->todo);
}

void ml_watch_list_later(struct ml_file_watch *w, struct ml_watch_dir *dir)
{
    if (ml_link_is_in_list(&dir->todo))
        return;
    if (ml_list_is_empty(&w->doubted))
        w->doubted_at = ml_hub_now(w->source->hub);
    dir->is_doubted = true;
    ml_list_insert(&w->doubted, &dir->todo);
}

static void list_all(struct ml_file_watch *w)
{
    struct ml_watch_entry *root = w->picture.root;
    for (struct ml_watch_entry *entry = root; entry != NULL; entry = ml_picture_next(root, entry))
        if (entry->dir != NULL)
            ml_watch_list(w, entry->dir, false);
}

void ml_watch_start_over(struct ml_file_watch *w)
{
    w->has_overflow = true;
    list_all(w);
}
