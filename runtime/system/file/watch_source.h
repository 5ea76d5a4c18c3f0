/*
 * The inotify descriptor that all watches of a runtime share, since a user has no more than 128 of
 * them (fs.inotify.max_user_instances). It is open while a watch is, and a little longer. What the
 * kernel reports is sorted into the inboxes of the watches that claim the directory, and kept there
 * as it came. Knows no path and no tree.
 */
#ifndef ML_SYSTEM_FILE_WATCH_SOURCE_H
#define ML_SYSTEM_FILE_WATCH_SOURCE_H

#include "base/clock.h"
#include "hub/state/hub.h"
#include "system/file/watch_inbox.h"

#include <stdbool.h>
#include <stdint.h>

/* What the kernel reports of a directory; a link is not followed. */
#define ML_WATCH_MASK                                                                              \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE |            \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK | IN_ONLYDIR)

struct ml_alarm;
struct ml_watch;
struct ml_watch_drops;
struct ml_watch_kernel;

/* A directory of a watch, as the kernel names it: by a watch descriptor, of which one directory has
 * one, whatever its path. */
struct ml_watch_claim {
    struct ml_watch_claim *next;
    struct ml_watch_inbox *inbox;
    int wd; /* -1: none */
};

/* Descriptors that notes came for while no claim was there, though one may be about to be made. */
enum { ML_WATCH_STRAYS = 64 };

struct ml_watch_source {
    struct ml_hub *hub;
    struct ml_watch_kernel *kernel; /* NULL: no watch has been open for a while */
    struct ml_watch *poll;
    struct ml_alarm *alarm;       /* runs while no watch is open */
    struct ml_watch_drops *drops; /* NULL: each is dropped at once */
    struct ml_link inboxes;
    struct ml_watch_claim **claims; /* by descriptor; a power of 2 of buckets */
    uint32_t buckets;
    uint32_t claim_count;
    ml_time drained_at; /* when the kernel had nothing more, the last time */
    uint64_t number;    /* of the last event */
    uint32_t scans;     /* jobs under way that add descriptors */
    uint32_t strays;    /* more than ML_WATCH_STRAYS: any descriptor may be one */
    int stray[ML_WATCH_STRAYS];
    char *block; /* into which events are read */
    bool is_polling;
    int error; /* of the last read(); 0: none */
};

void ml_watch_source_init(struct ml_watch_source *source, struct ml_hub *hub);

/* Frees what it holds; every inbox has left. */
void ml_watch_source_release(struct ml_watch_source *source);

/* Opens an inbox, and the descriptor with the first one. 0, -ENOMEM, or an error of
 * ml_watch_kernel_open(). */
int ml_watch_source_join(struct ml_watch_source *source, struct ml_watch_inbox *inbox);

/* Closes an inbox without claims, and a little after the last one the descriptor. Never waits. */
void ml_watch_source_leave(struct ml_watch_source *source, struct ml_watch_inbox *inbox);

/* Whether the descriptor is the source's, and no watch is open any more. */
bool ml_watch_source_lingers(const struct ml_watch_source *source, int fd);

/* Room for one more claim: before a scan, whose end must not fail. 0 or -ENOMEM. */
int ml_watch_claims_reserve(struct ml_watch_source *source);

/* From now on the inbox gets what is reported for `wd`. The claim has none. */
void ml_watch_claim(struct ml_watch_source *source, struct ml_watch_claim *claim,
                    struct ml_watch_inbox *inbox, int wd);

/* Ends that; the kernel watches the directory no more if no claim is left. Harmless without one. */
void ml_watch_unclaim(struct ml_watch_source *source, struct ml_watch_claim *claim);

/* Around the end of that many claims at most: a worker drops them if they are many. */
void ml_watch_unclaim_begin(struct ml_watch_source *source, size_t count);
void ml_watch_unclaim_end(struct ml_watch_source *source);

/* The next claim on `wd` of an inbox after `claim` (NULL: the first); NULL: there is none. */
struct ml_watch_claim *ml_watch_next_claim(const struct ml_watch_source *source,
                                           const struct ml_watch_inbox *inbox, int wd,
                                           const struct ml_watch_claim *claim);

/* A worker is about to add descriptors, and has. Between the two, events may come that no claim
 * takes: ml_watch_was_stray(). */
void ml_watch_scan_begin(struct ml_watch_source *source);
void ml_watch_scan_end(struct ml_watch_source *source);

/* Whether events of `wd` may have come before it was claimed. */
bool ml_watch_was_stray(const struct ml_watch_source *source, int wd);

/*
 * Sorts what the kernel has to report, a bounded amount. Never waits. Returns 1, or 0 if there was
 * nothing; -ENOMEM: an inbox lost notes; or an error of read().
 */
int ml_watch_pump(struct ml_watch_source *source);

/* From now on the hub sorts as soon as there is something to report, until no task waits at an
 * inbox any more. */
void ml_watch_source_poll(struct ml_watch_source *source);

#endif
