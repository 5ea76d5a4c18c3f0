/* Names: the functions of moonlet.fs that make, change and remove them, and read directories and
 * links. */
#ifndef ML_BINDINGS_FILE_PATHS_H
#define ML_BINDINGS_FILE_PATHS_H

#include <lua.h>

/* Sets them in the module on top of the stack. */
void ml_set_path_functions(lua_State *L);

#endif
