/* Histograms of users' metrics. Knows no registry. */
#ifndef ML_BINDINGS_INSPECT_HISTOGRAM_H
#define ML_BINDINGS_INSPECT_HISTOGRAM_H

#include <lua.h>

/* core.bounds(list) -> the upper bounds of buckets, for core.histogram(). The list is ascending,
 * and all of it finite. */
int ml_inspect_bounds(lua_State *L);

/* core.histogram(family, text, labels, bounds) -> a new one; see bindings/inspect/series.h. */
int ml_inspect_histogram(lua_State *L);

/* core.buckets(histogram) -> for each bound, and the infinite one, the observations up to it. */
int ml_inspect_buckets(lua_State *L);

/* Registers their type. Keeps the stack as it is. */
void ml_open_histogram_type(lua_State *L);

#endif
