#include "system/file/watch_picture.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_BUCKETS = 16 };

/* ---- the table of all entries, by directory and name ---- */

static uint32_t hash(const struct ml_watch_entry *parent, const char *name, size_t size)
{
    uint64_t h = (uint64_t)(uintptr_t)parent * 0x9E3779B97F4A7C15u;
    for (size_t i = 0; i < size; i++)
        h = (h ^ (unsigned char)name[i]) * 0x100000001B3u;
    return (uint32_t)(h ^ (h >> 32));
}

static struct ml_watch_entry **bucket_of(const struct ml_picture *picture,
                                         const struct ml_watch_entry *parent, const char *name,
                                         size_t size)
{
    return &picture->buckets[hash(parent, name, size) & (picture->bucket_count - 1)];
}

static void put_in_table(struct ml_picture *picture, struct ml_watch_entry *entry)
{
    struct ml_watch_entry **bucket = bucket_of(picture, entry->parent, entry->name, entry->size);
    entry->next = *bucket;
    *bucket = entry;
}

static void take_out_of_table(struct ml_picture *picture, struct ml_watch_entry *entry)
{
    struct ml_watch_entry **place = bucket_of(picture, entry->parent, entry->name, entry->size);
    while (*place != NULL && *place != entry)
        place = &(*place)->next;
    if (*place != NULL)
        *place = entry->next;
}

/* Doubles the table; without memory it stays as it is, and is only slower. */
static void grow(struct ml_picture *picture)
{
    struct ml_watch_entry **old = picture->buckets;
    uint32_t count = picture->bucket_count;
    struct ml_watch_entry **buckets = calloc((size_t)count * 2, sizeof(struct ml_watch_entry *));
    if (buckets == NULL)
        return;
    picture->buckets = buckets;
    picture->bucket_count = count * 2;
    for (uint32_t i = 0; i < count; i++) {
        for (struct ml_watch_entry *entry = old[i], *next; entry != NULL; entry = next) {
            next = entry->next;
            put_in_table(picture, entry);
        }
    }
    free(old);
}

struct ml_watch_entry *ml_picture_find(const struct ml_picture *picture,
                                       const struct ml_watch_entry *parent, const char *name,
                                       size_t size)
{
    struct ml_watch_entry *entry = *bucket_of(picture, parent, name, size);
    while (entry != NULL &&
           (entry->parent != parent || entry->size != size || memcmp(entry->name, name, size) != 0))
        entry = entry->next;
    return entry;
}

/* ---- entries ---- */

static struct ml_watch_dir *new_dir(struct ml_watch_entry *entry)
{
    struct ml_watch_dir *dir = calloc(1, sizeof *dir);
    if (dir == NULL)
        return NULL;
    dir->claim.wd = -1;
    dir->entry = entry;
    ml_list_init(&dir->entries);
    return dir;
}

static struct ml_watch_entry *new_entry(const char *name, size_t size, bool has_dir)
{
    struct ml_watch_entry *entry = malloc(sizeof *entry + size + 1);
    if (entry == NULL)
        return NULL;
    *entry = (struct ml_watch_entry){
        .size = (uint16_t)size, .changed_at = ML_WATCH_UNKNOWN, .is_directory = has_dir};
    memcpy(entry->name, name, size);
    entry->name[size] = '\0';
    entry->dir = has_dir ? new_dir(entry) : NULL;
    if (!has_dir || entry->dir != NULL)
        return entry;
    free(entry);
    return NULL;
}

static void put_in_place(struct ml_picture *picture, struct ml_watch_entry *entry,
                         struct ml_watch_entry *parent)
{
    entry->parent = parent;
    ml_list_insert(&parent->dir->entries, &entry->link);
    put_in_table(picture, entry);
}

struct ml_watch_entry *ml_picture_add(struct ml_picture *picture, struct ml_watch_entry *parent,
                                      const char *name, size_t size, bool has_dir)
{
    if (picture->count >= picture->bucket_count)
        grow(picture);
    struct ml_watch_entry *entry = new_entry(name, size, has_dir);
    if (entry == NULL)
        return NULL;
    put_in_place(picture, entry, parent);
    picture->count++;
    return entry;
}

int ml_picture_init(struct ml_picture *picture)
{
    *picture = (struct ml_picture){.bucket_count = FIRST_BUCKETS};
    picture->buckets = calloc(FIRST_BUCKETS, sizeof(struct ml_watch_entry *));
    picture->root = new_entry("", 0, true);
    if (picture->buckets != NULL && picture->root != NULL)
        return 0;
    ml_picture_release(picture);
    return -ENOMEM;
}

void ml_picture_take_out(struct ml_picture *picture, struct ml_watch_entry *entry)
{
    if (entry->parent == NULL)
        return;
    take_out_of_table(picture, entry);
    ml_list_remove(&entry->link);
}

/* Below an entry that was taken out, entries are found in the table still. */
void ml_picture_free(struct ml_picture *picture, struct ml_watch_entry *entry)
{
    if (entry->parent != NULL)
        picture->count--;
    else
        picture->root = NULL;
    if (entry->dir != NULL && ml_link_is_in_list(&entry->dir->todo))
        ml_list_remove(&entry->dir->todo);
    free(entry->dir);
    free(entry);
}

/* The entries below the new entry name it as their parent, by which the table finds them. */
static void adopt(struct ml_picture *picture, struct ml_watch_entry *old,
                  struct ml_watch_entry *entry)
{
    struct ml_watch_dir *dir = old->dir;
    entry->dir = dir;
    if (dir == NULL)
        return;
    dir->entry = entry;
    for (struct ml_link *l = dir->entries.next; l != &dir->entries; l = l->next) {
        struct ml_watch_entry *child = ml_container_of(l, struct ml_watch_entry, link);
        take_out_of_table(picture, child);
        child->parent = entry;
        put_in_table(picture, child);
    }
}

struct ml_watch_entry *ml_picture_move(struct ml_picture *picture, struct ml_watch_entry *entry,
                                       struct ml_watch_entry *parent, const char *name, size_t size)
{
    struct ml_watch_entry *moved = new_entry(name, size, false);
    if (moved == NULL)
        return NULL;
    ml_picture_take_out(picture, entry);
    moved->is_directory = entry->is_directory;
    moved->seen = entry->seen;
    adopt(picture, entry, moved);
    put_in_place(picture, moved, parent);
    free(entry);
    return moved;
}

void ml_picture_free_tree(struct ml_picture *picture, struct ml_watch_entry *top)
{
    struct ml_watch_entry *entry = top;
    while (entry != NULL) {
        struct ml_watch_entry *parent = entry->parent;
        if (entry->dir != NULL && !ml_list_is_empty(&entry->dir->entries)) {
            entry = ml_container_of(entry->dir->entries.next, struct ml_watch_entry, link);
            continue;
        }
        if (entry != top)
            ml_picture_take_out(picture, entry);
        ml_picture_free(picture, entry);
        entry = entry == top ? NULL : parent;
    }
}

void ml_picture_release(struct ml_picture *picture)
{
    if (picture->root != NULL)
        ml_picture_free_tree(picture, picture->root);
    free(picture->buckets);
    *picture = (struct ml_picture){0};
}

/* ---- the tree ---- */

struct ml_watch_entry *ml_picture_next(const struct ml_watch_entry *top,
                                       struct ml_watch_entry *entry)
{
    if (entry->dir != NULL && !ml_list_is_empty(&entry->dir->entries))
        return ml_container_of(entry->dir->entries.next, struct ml_watch_entry, link);
    while (entry != top && entry->link.next == &entry->parent->dir->entries)
        entry = entry->parent;
    return entry == top ? NULL : ml_container_of(entry->link.next, struct ml_watch_entry, link);
}

bool ml_picture_is_below(const struct ml_watch_entry *entry, const struct ml_watch_entry *top)
{
    while (entry != NULL && entry != top)
        entry = entry->parent;
    return entry == top;
}

size_t ml_picture_path_size(const struct ml_watch_entry *parent, size_t name_size)
{
    size_t size = name_size;
    for (; parent->parent != NULL; parent = parent->parent)
        size += parent->size + (size > 0);
    return size;
}

void ml_picture_write_path(const struct ml_watch_entry *parent, const char *name, size_t name_size,
                           char *end)
{
    char *at = end - name_size;
    memcpy(at, name, name_size);
    for (; parent->parent != NULL; parent = parent->parent) {
        if (at != end)
            *--at = '/';
        at -= parent->size;
        memcpy(at, parent->name, parent->size);
    }
}
