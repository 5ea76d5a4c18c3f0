/*
 * What a watch of a directory consists of (watch.h). The files that make its steps write to it:
 * watch_note.c what the kernel reports, watch_compare.c what a listing shows, watch_tell.c what the
 * reader gets. A step leaves picture and events in agreement, even if memory runs out in it.
 */
#ifndef ML_SYSTEM_FILE_WATCH_STATE_H
#define ML_SYSTEM_FILE_WATCH_STATE_H

#include "system/file/watch_event.h"
#include "system/file/watch_picture.h"
#include "system/file/watch_scan.h"
#include "system/file/watch_source.h"

/* Results of a step; a negated errno: the same step can be made again. */
enum { ML_STEP_NONE, ML_STEP_DONE };

/* How long the second half of a rename is waited for. The kernel reports both one after the other,
 * unless the thread that renames loses its processor in between. */
#define ML_WATCH_RENAME_SPAN (20 * ML_MILLISECOND)

/* The reason for the end of a watch. */
enum ml_watch_end {
    ML_WATCH_GOES_ON,
    ML_WATCH_ROOT_REMOVED,
    ML_WATCH_ROOT_RENAMED,
    ML_WATCH_ROOT_UNMOUNTED
};

struct ml_file_watch_options {
    bool recursive; /* with all directories below */
    bool initial;   /* what is there at the begin is reported as created */
};

/* The comparison of the picture with a listing, row by row. */
struct ml_watch_comparison {
    struct ml_watch_scan *scan; /* NULL: none was asked for */
    bool is_finished;           /* it has come back */
    bool is_begun;              /* the directory's */
    uint32_t dir;               /* the directory that is compared */
    size_t at;                  /* the next row */
    uint32_t number;            /* counts the directories compared */
};

struct ml_file_watch {
    struct ml_watch_source *source; /* NULL: closed */
    struct ml_watch_inbox inbox;
    struct ml_picture picture;
    struct ml_watch_events events;
    struct ml_watch_comparison comparison;
    struct ml_link leaving; /* entries that are to be reported as removed, with all below */
    struct ml_link todo;    /* directories that are to be listed */
    struct ml_link doubted; /* those that are once the kernel is quiet, see ml_watch_list_later() */
    char *base;             /* malloc'd: the root's absolute path without links; "" for "/" */
    char *name;             /* malloc'd: the root's path as it was given */
    char *only;       /* malloc'd: a file is watched, this name in the root; NULL: a directory is */
    uint64_t barrier; /* events up to this number take in no "changed" any more */
    ml_time again;    /* when to look although nothing was reported; ML_FOREVER: never */
    ml_time noted_at; /* when the last note was read */
    ml_time doubted_at; /* when the first one of doubted came */
    enum ml_watch_end end;
    struct ml_file_watch_options options;
    bool is_quiet;     /* the first listing goes on, which is not reported */
    bool is_over;      /* the root is gone, and everything was reported */
    bool has_overflow; /* an overflow is to be reported */
    bool has_more;     /* the last try left off before it had found an event */
    int error;         /* of a step, which the reader gets behind the events before it */
};

#endif
