/* Files that requests and responses are saved to: a part of moonlet.http.files.core. */
#ifndef ML_BINDINGS_HTTP_SAVED_FILE_H
#define ML_BINDINGS_HTTP_SAVED_FILE_H

#include <lua.h>

/* Registers their type. Once per state. */
void ml_open_saved_files(lua_State *L);

/*
 * create(path) -> new file; or nil, message, code. It has write(data), commit() and close(), which
 * throws it away unless it was committed. All of them wait while a worker uses the disk; after one
 * that failed the file is closed, and nothing of it stays.
 */
int ml_saved_file_create(lua_State *L);

#endif
