/*
 * Files that answers are made of, and files that requests are saved to: moonlet.http.files.core.
 */
#ifndef ML_BINDINGS_HTTP_FILES_H
#define ML_BINDINGS_HTTP_FILES_H

#include <lua.h>
#include <stdint.h>

/* The descriptor of a file at `index`, one of these or of io's; -1: it is closed. Raises for
 * anything else. */
int ml_http_file_number(lua_State *L, int index);

/* The number that struct ml_stream takes for the file; 0: none. */
uint64_t ml_http_file_recent(lua_State *L, int index);

/* Closes one of these files; leaves anything else alone. */
void ml_http_file_close(lua_State *L, int index);

int ml_open_http_files(lua_State *L);

#endif
