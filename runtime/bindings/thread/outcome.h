/* The outcome of a call on another thread: its results, or its error with the traceback. */
#ifndef ML_BINDINGS_THREAD_OUTCOME_H
#define ML_BINDINGS_THREAD_OUTCOME_H

#include "bindings/thread/runtimes.h"

/* Packs the results from `first` to the top of L; if one cannot be copied, that is the error. NULL:
 * no memory. */
struct ml_parcel *ml_outcome_of_results(lua_State *L, int first);

/* Packs the error on top of L: {value, traceback}, or one without a traceback. NULL: no memory. */
struct ml_parcel *ml_outcome_of_error(lua_State *L);

/* Pushes the results and returns how many, or raises the error, whose traceback becomes its story.
 * `outcome` is released. */
int ml_outcome_take(lua_State *L, struct ml_parcel *outcome, const char *name);

/* The two halves of that. Pushes true and the results, or false, the error and its traceback or
 * nil. Returns how many. Raises for want of memory. */
int ml_outcome_push(lua_State *L, struct ml_parcel *outcome);

/* Stack: an error, its traceback or nil. Raises the error. */
int ml_outcome_raise(lua_State *L, const char *name);

#endif
