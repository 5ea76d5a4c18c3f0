/* Time limits, which are seconds in scripts and absolute deadlines in C. */
#ifndef ML_BINDINGS_CORE_TIME_LIMIT_H
#define ML_BINDINGS_CORE_TIME_LIMIT_H

#include "base/clock.h"

#include <lua.h>

/* Reads a time limit in seconds at `index` as an absolute deadline: none or nil is ML_FOREVER, 0 or
 * less ML_NEVER_WAIT. Raises for NaN and for a value that is no number. */
ml_time ml_check_deadline(lua_State *L, int index);

/* Reads a span in seconds; a negative one, as clock arithmetic may give, is 0. Raises for NaN and
 * for a value that is no number. */
ml_time ml_check_span(lua_State *L, int index);

#endif
