/* Whole files: the functions read, write and append of moonlet.fs. */
#ifndef ML_BINDINGS_FILE_WHOLE_H
#define ML_BINDINGS_FILE_WHOLE_H

#include <lua.h>

/* Their first upvalue is an object of ml_push_disks(), which both file rooms share. */
int ml_fs_read(lua_State *L);
int ml_fs_write(lua_State *L);
int ml_fs_append(lua_State *L);

/* Pushes what is known of the disks (system/file/quick.h). */
void ml_push_disks(lua_State *L);

#endif
