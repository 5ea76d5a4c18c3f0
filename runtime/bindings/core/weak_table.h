/* Tables that do not keep their keys, or their values, alive. */
#ifndef ML_BINDINGS_CORE_WEAK_TABLE_H
#define ML_BINDINGS_CORE_WEAK_TABLE_H

#include <lua.h>

/* Pushes a new table whose keys ("k") or values ("v") are weak. Raises. */
void ml_push_weak_table(lua_State *L, const char *mode);

#endif
