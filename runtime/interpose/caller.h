/*
 * The library that made a call, found by an address in its code. Calls that are left to libc
 * because of their library or their own name.
 */
#ifndef ML_INTERPOSE_CALLER_H
#define ML_INTERPOSE_CALLER_H

#include "interpose/state.h"

struct ml_exclusion {
    struct ml_exclusion *next;
    char pattern[]; /* as for fnmatch(3) */
};

/* The last part of the library's file name; "": unknown. */
const char *ml_caller_library(struct ml_libc_call entry);

/* Whether that name matches the pattern, as for fnmatch(3). */
bool ml_caller_matches(struct ml_libc_call entry, const char *pattern);

/* Leaves calls to libc from now on: those whose own name matches, and those from libraries whose
 * name matches. pattern: as for fnmatch(3), such as "libodbc*". 0 or -ENOMEM. */
int ml_caller_exclude(struct ml_libc_calls *calls, const char *pattern);

/* Whether the call is left to libc. */
bool ml_caller_is_excluded(const struct ml_libc_calls *calls, struct ml_libc_call entry);

/* Forgets what was excluded. */
void ml_caller_release(struct ml_libc_calls *calls);

#endif
