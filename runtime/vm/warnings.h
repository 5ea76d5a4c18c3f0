/* Lua's warnings, written to stderr as lua5.4 writes them; off until "@on". Those of the runtime
 * itself are on until "@off". */
#ifndef ML_VM_WARNINGS_H
#define ML_VM_WARNINGS_H

#include <lua.h>
#include <stdbool.h>

struct ml_lua;

struct ml_warnings {
    struct ml_lua *lua;
    bool is_on;
    bool is_off;    /* by "@off" */
    bool continues; /* the last piece was not the end of its message */
};

/* Installs them; *warnings belongs to the caller and lives as long as the state. */
void ml_warnings_open(lua_State *L, struct ml_lua *lua, struct ml_warnings *warnings);

/* Writes a warning of the runtime itself, unless warnings were turned off by "@off". */
void ml_warnings_tell(struct ml_warnings *warnings, const char *text);

#endif
