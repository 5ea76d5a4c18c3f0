/* The editor of lines at the prompt, for the rest of the runtime. */
#ifndef ML_BINDINGS_REPL_LINE_EDITOR_H
#define ML_BINDINGS_REPL_LINE_EDITOR_H

#include <lua.h>

struct ml_lua;

/* To be called after a possible signal: an editor that waits checks for changes (the terminal's
 * size). Never waits. */
void ml_line_editor_notice(struct ml_lua *lua);

/* To be called when the process ends: if a line is being edited, gives the terminal its former
 * settings. From signal handlers, too. */
void ml_line_editor_restore(void);

/* moonlet.repl.editor */
int ml_open_editor(lua_State *L);

#endif
