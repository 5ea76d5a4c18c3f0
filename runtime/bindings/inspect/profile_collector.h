/*
 * Tells by the program counter whether Lua's collector runs. Only where the program has the static
 * liblua are the places of its functions known; elsewhere the answer is always no.
 */
#ifndef ML_BINDINGS_INSPECT_PROFILE_COLLECTOR_H
#define ML_BINDINGS_INSPECT_PROFILE_COLLECTOR_H

#include "hub/state/strand.h"

#include <stdbool.h>
#include <ucontext.h>

/* Whether the collector is found in this program. */
bool ml_profile_knows_collector(void);

/* Whether the code that a signal has interrupted on the stack of the strand is the collector's, or
 * a function's that the collector has called to free memory. For signal handlers. */
bool ml_profile_in_collector(const ucontext_t *interrupted, const struct ml_strand *strand);

#endif
