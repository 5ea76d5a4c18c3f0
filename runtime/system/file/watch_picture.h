/*
 * The picture that a watch has of its tree: names in directories. It is the picture that a reader
 * has who applied all events so far. Knows neither the disk nor the kernel.
 */
#ifndef ML_SYSTEM_FILE_WATCH_PICTURE_H
#define ML_SYSTEM_FILE_WATCH_PICTURE_H

#include "base/list.h"
#include "system/file/watch_source.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The time of the last change of an entry that was reported without a look at it. */
#define ML_WATCH_UNKNOWN INT64_MIN

/* What a directory that is watched has besides. */
struct ml_watch_dir {
    struct ml_watch_claim claim;
    struct ml_watch_entry *entry;
    struct ml_link entries;
    struct ml_link todo; /* in the list of those that are to be listed, now or later */
    ml_time claimed_at;  /* when the claim began, by the hub's clock */
    ml_time listed_at;
    uint8_t failures; /* how often in a row it was not found */
    bool is_deep;     /* list those below, too */
    bool is_doubted;  /* it is to be listed later, not now */
    bool is_moved;    /* it turned out to be another directory than the one listed before */
};

/* Units of 2^20 ns, about a millisecond. */
static inline uint32_t ml_watch_units(ml_time time)
{
    return (uint32_t)((uint64_t)time >> 20);
}

struct ml_watch_entry {
    struct ml_watch_entry *parent; /* NULL: the root */
    struct ml_watch_entry *next;   /* in its bucket */
    struct ml_link link;           /* among the parent's entries, or among those that leave */
    struct ml_watch_dir *dir;      /* NULL: no directory, or one that is not watched */
    int64_t changed_at;            /* st_ctim in nanoseconds */
    uint64_t told;                 /* serial number of the last "created" or "changed" */
    uint32_t seen;                 /* number of the listing that had it */
    uint32_t moved_at;             /* when it came by a rename, in units; 0: it did not */
    uint16_t size;                 /* of the name */
    bool is_directory;
    char name[]; /* with a zero */
};

struct ml_picture {
    struct ml_watch_entry *root; /* its name is "" */
    struct ml_watch_entry **buckets;
    uint32_t bucket_count; /* a power of 2 */
    uint32_t count;
};

/* A picture of an empty directory. 0 or -ENOMEM. */
int ml_picture_init(struct ml_picture *picture);

/* Frees it; the claims of its directories have ended. Harmless on one that is zeroed. */
void ml_picture_release(struct ml_picture *picture);

/* The entry of that name in a directory; NULL: there is none. */
struct ml_watch_entry *ml_picture_find(const struct ml_picture *picture,
                                       const struct ml_watch_entry *parent, const char *name,
                                       size_t size);

/* A new one. has_dir: a directory that is watched. NULL: no memory. */
struct ml_watch_entry *ml_picture_add(struct ml_picture *picture, struct ml_watch_entry *parent,
                                      const char *name, size_t size, bool has_dir);

/* Gives the entry another place; there is no entry of that name. It may move in memory: returns it,
 * or NULL, for want of memory, with nothing done. */
struct ml_watch_entry *ml_picture_move(struct ml_picture *picture, struct ml_watch_entry *entry,
                                       struct ml_watch_entry *parent, const char *name,
                                       size_t size);

/* Takes the entry out of its place, with all that is below; it is then in no list. */
void ml_picture_take_out(struct ml_picture *picture, struct ml_watch_entry *entry);

/* Frees an entry without entries below that was taken out, or is the root; its claim has ended. */
void ml_picture_free(struct ml_picture *picture, struct ml_watch_entry *entry);

/* Frees an entry that was taken out, or is the root, with all that is below. */
void ml_picture_free_tree(struct ml_picture *picture, struct ml_watch_entry *top);

/* The entry behind `entry` in the tree below `top`, a directory before its content; NULL: it is the
 * last. Begin with top itself. */
struct ml_watch_entry *ml_picture_next(const struct ml_watch_entry *top,
                                       struct ml_watch_entry *entry);

/* Whether `entry` is `top` or lies below. */
bool ml_picture_is_below(const struct ml_watch_entry *entry, const struct ml_watch_entry *top);

/* Bytes of the path from the root to a name in the directory `parent`: "a/b". name_size 0: to the
 * directory itself. */
size_t ml_picture_path_size(const struct ml_watch_entry *parent, size_t name_size);

/* Writes that path, without a zero, so that it ends before `end`. */
void ml_picture_write_path(const struct ml_watch_entry *parent, const char *name, size_t name_size,
                           char *end);

#endif
