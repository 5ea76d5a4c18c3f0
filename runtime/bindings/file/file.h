/* Open files of moonlet.fs. */
#ifndef ML_BINDINGS_FILE_FILE_H
#define ML_BINDINGS_FILE_FILE_H

#include <lua.h>

/* Registers files, and sets open() in the module on top of the stack; below it is what is known of
 * the disks. */
void ml_set_open_function(lua_State *L);

#endif
