/*
 * What users' metrics share in Lua: each is an object that keeps its family (name, type, names of
 * labels), the text of its labels, and the labels. Knows no registry: that is in
 * stdlib/moonlet/inspect/metrics.lua.
 */
#ifndef ML_BINDINGS_INSPECT_SERIES_H
#define ML_BINDINGS_INSPECT_SERIES_H

#include "bindings/core/object.h"

/* User values of a metric. */
enum ml_series_value {
    ML_SERIES_FAMILY = 1, /* a table; its field `name` is a string */
    ML_SERIES_TEXT,       /* of the labels, as the text format has it: a="b",c="d" */
    ML_SERIES_LABELS,     /* a table */
    ML_SERIES_VALUES = ML_SERIES_LABELS
};

/* Pushes a new metric of that type with the user values at 1 to 3, and `more` values behind them.
 * Returns its struct of `size` bytes, zeroed. */
void *ml_push_series(lua_State *L, const char *type, size_t size, int more);

/* __tostring of metrics: type and name with the labels. */
int ml_series_tostring(lua_State *L);

/* The finite number at `index`; raises for anything else, also for NaN and infinity. */
lua_Number ml_check_finite(lua_State *L, int index);

/* Pushes a number as an integer if it is one and all integers up to it are numbers. */
void ml_push_plain_number(lua_State *L, lua_Number number);

#endif
