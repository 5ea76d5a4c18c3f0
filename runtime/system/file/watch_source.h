/*
 * The inotify descriptor that all watches of a runtime share, since a user has no more than 128 of
 * them (fs.inotify.max_user_instances). It is open while a watch is. What the kernel reports is
 * sorted into the inboxes of the watches that claim the directory, and kept there as it came. Knows
 * no path and no tree.
 */
#ifndef ML_SYSTEM_FILE_WATCH_SOURCE_H
#define ML_SYSTEM_FILE_WATCH_SOURCE_H

#include "base/clock.h"
#include "base/list.h"
#include "hub/state/hub.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* The most bytes of notes that wait for one watch; then they are dropped, as the kernel does at
 * fs.inotify.max_queued_events. */
enum { ML_WATCH_INBOX_MOST = 8 * 1024 * 1024 };

/* What the kernel reports of a directory; a link is not followed. */
#define ML_WATCH_MASK                                                                              \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_MODIFY | IN_CLOSE_WRITE |            \
     IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF | IN_EXCL_UNLINK | IN_ONLYDIR)

/* The descriptor, which jobs on workers use, too: the last of its users closes it. */
struct ml_watch_kernel {
    atomic_int users;
    int fd;
};

/* One event of inotify(7). */
struct ml_watch_note {
    struct ml_link link;
    ml_time read_at; /* by the hub's clock */
    uint32_t drains; /* of the source, when it was read */
    int wd;
    uint32_t mask;
    uint32_t cookie;
    bool replaces; /* for the watch: a directory was removed to make room for it */
    size_t size;   /* of the name */
    char name[];   /* with a zero; "" for the directory itself */
};

struct ml_watch_inbox {
    struct ml_link link; /* among the source's */
    struct ml_link notes;
    size_t bytes;
    uint64_t number;        /* of the last event of the source that was put in */
    bool is_lost;           /* notes were dropped */
    struct ml_link waiters; /* granted when a note has come */
};

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
    struct ml_watch_kernel *kernel; /* NULL: no watch is open */
    struct ml_watch *poll;
    struct ml_link inboxes;
    struct ml_watch_claim **claims; /* by descriptor; a power of 2 of buckets */
    uint32_t buckets;
    uint32_t claim_count;
    uint32_t drains; /* how often the kernel had nothing more */
    uint64_t number; /* of the last event */
    uint32_t scans;  /* jobs under way that add descriptors */
    uint32_t strays; /* more than ML_WATCH_STRAYS: any descriptor may be one */
    int stray[ML_WATCH_STRAYS];
    char *block; /* into which events are read */
    bool is_polling;
    int error; /* of the last read(); 0: none */
};

void ml_watch_source_init(struct ml_watch_source *source, struct ml_hub *hub);

/* Frees what it holds; every inbox has left. */
void ml_watch_source_release(struct ml_watch_source *source);

/*
 * Opens an inbox, and the descriptor with the first one.
 *
 * - 0;
 * - -EMFILE, -ENFILE: the process has no descriptor left;
 * - -EUSERS: the user has too many inotify descriptors;
 * - -ENOMEM, -ENOSYS.
 */
int ml_watch_source_join(struct ml_watch_source *source, struct ml_watch_inbox *inbox);

/* Closes an inbox without claims, and the descriptor with the last one. Never waits. */
void ml_watch_source_leave(struct ml_watch_source *source, struct ml_watch_inbox *inbox);

/* One more user, from the thread of a user; and one less, from any thread. */
void ml_watch_kernel_keep(struct ml_watch_kernel *kernel);
void ml_watch_kernel_drop(struct ml_watch_kernel *kernel);

/* Room for one more claim: before a scan, whose end must not fail. 0 or -ENOMEM. */
int ml_watch_claims_reserve(struct ml_watch_source *source);

/* From now on the inbox gets what is reported for `wd`. The claim has none. */
void ml_watch_claim(struct ml_watch_source *source, struct ml_watch_claim *claim,
                    struct ml_watch_inbox *inbox, int wd);

/* Ends that; the kernel watches the directory no more if no claim is left. Harmless without one. */
void ml_watch_unclaim(struct ml_watch_source *source, struct ml_watch_claim *claim);

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

/* The first note; NULL: the inbox is empty. */
struct ml_watch_note *ml_watch_note_first(const struct ml_watch_inbox *inbox);

/* The note behind one; NULL: it is the last. */
struct ml_watch_note *ml_watch_note_next(const struct ml_watch_inbox *inbox,
                                         const struct ml_watch_note *note);

void ml_watch_note_drop(struct ml_watch_inbox *inbox, struct ml_watch_note *note);

void ml_watch_notes_drop_all(struct ml_watch_inbox *inbox);

#endif
