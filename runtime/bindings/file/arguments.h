/* Arguments and failures that all functions of moonlet.fs share. */
#ifndef ML_BINDINGS_FILE_ARGUMENTS_H
#define ML_BINDINGS_FILE_ARGUMENTS_H

#include <lua.h>
#include <stdbool.h>
#include <sys/stat.h>

/* A path: a text without zero bytes, not empty. Raises. */
const char *ml_check_path(lua_State *L, int index);

/* Pushes nil, "path: reason", code. path: where it stands on the stack; other: the second one, or
 * 0. Returns 3. */
int ml_push_path_failure(lua_State *L, int error, int path, int other);

/* Pushes true for 0 or more, else such a failure. Returns how many. */
int ml_push_path_outcome(lua_State *L, int result, int path, int other);

/* The name of what a mode says that a file is: "file", "directory", "link", ... */
const char *ml_file_type_name(mode_t mode);

/* Pushes the table that describes a file. */
void ml_push_status(lua_State *L, const struct statx *status);

/* Permissions: an integer, or octal digits as text. Raises. */
mode_t ml_check_mode(lua_State *L, int index);

/* The same in the field `name` of the options at `options`, which may be nil; `otherwise` if it is
 * absent. Raises. */
mode_t ml_mode_option(lua_State *L, int options, const char *name, mode_t otherwise);

/* Whether there is a table of options at `index`, with fields of these names only, which end with
 * NULL. Raises for anything but a table or nil. */
bool ml_check_options(lua_State *L, int index, const char *const names[]);

#endif
