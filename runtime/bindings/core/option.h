/* Tables of options: checks their names, reads truth values. */
#ifndef ML_BINDINGS_CORE_OPTION_H
#define ML_BINDINGS_CORE_OPTION_H

#include <lua.h>
#include <stdbool.h>

/* Raises for a field whose name is not among `names`, which end with NULL: it is a typing error. */
void ml_check_option_names(lua_State *L, int options, const char *const names[]);

/* The same for a table at `options` that came inside the function's argument of that number. */
void ml_check_nested_names(lua_State *L, int options, int argument, const char *const names[]);

/* The same for a table whose fields with a number are items. */
void ml_check_names_beside_items(lua_State *L, int table, int argument, const char *const names[]);

/* The field `name` of the options table at `options` (0: there is none) as a truth value;
 * `otherwise` when it is absent. */
bool ml_boolean_option(lua_State *L, int options, const char *name, bool otherwise);

#endif
