/*
 * Lists directories on a worker, after it had the kernel watch them: what happens later is
 * reported. Both go to the same open directory, so that no rename comes between. Knows no picture.
 */
#ifndef ML_SYSTEM_FILE_WATCH_SCAN_H
#define ML_SYSTEM_FILE_WATCH_SCAN_H

#include "base/buffer.h"
#include "hub/on/offload.h"
#include "system/file/watch_source.h"

/* The most directories of one job; it leaves the rest undone after so many bytes of entries. */
enum { ML_WATCH_SCAN_DIRS = 64, ML_WATCH_SCAN_BYTES = 512 * 1024 };

/* An entry of a directory in the listing, its name behind it. */
struct ml_watch_listed {
    int64_t changed_at; /* st_ctim in nanoseconds; 0 for a directory */
    uint16_t size;      /* of the name */
    bool is_directory;
};

/* The bytes of a row with a name of that size: rows begin where the struct may. */
static inline size_t ml_watch_listed_size(size_t name_size)
{
    size_t alignment = _Alignof(struct ml_watch_listed);
    size_t size = sizeof(struct ml_watch_listed) + name_size;
    return (size + alignment - 1) & ~(alignment - 1);
}

struct ml_watch_scanned {
    void *dir;  /* the caller's */
    char *path; /* malloc'd, absolute */
    int wd;
    int error; /* 0 or a negated errno; -EAGAIN: not done */
    bool is_deep;
    size_t start; /* its part of the listing */
    size_t end;
};

struct ml_watch_scan {
    struct ml_job job;
    atomic_int users; /* the job, and its watch */
    struct ml_watch_kernel *kernel;
    void *owner; /* NULL: the watch is closed */
    void (*finished)(struct ml_watch_scan *scan);
    char *only; /* malloc'd; NULL: list all */
    uint32_t count;
    struct ml_watch_scanned dirs[ML_WATCH_SCAN_DIRS];
    struct ml_buffer listing;
};

/* A scan without directories, of which the caller is a user. only: the one name that is looked for;
 * NULL: all. NULL: no memory. */
struct ml_watch_scan *ml_watch_scan_new(struct ml_watch_kernel *kernel, const char *only);

/* Has a worker do it. `finished` is called on the hub, unless the owner is NULL by then. 0, -EAGAIN
 * or -ENOMEM. */
int ml_watch_scan_start(struct ml_watch_scan *scan, struct ml_hub *hub);

/* One user less, from any thread; the last frees it. */
void ml_watch_scan_drop(struct ml_watch_scan *scan);

#endif
