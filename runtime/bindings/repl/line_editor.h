/* The editor of lines at the prompt, as the rest of the runtime sees it. */
#ifndef ML_BINDINGS_REPL_LINE_EDITOR_H
#define ML_BINDINGS_REPL_LINE_EDITOR_H

#include <lua.h>

struct ml_lua;

/* A signal may have come: an editor that waits looks what is different (the terminal's size). Never
 * waits. */
void ml_line_editor_notice(struct ml_lua *lua);

/* If a line is being edited, gives the terminal the settings from before: the process ends. From
 * signal handlers, too. */
void ml_line_editor_restore(void);

/* moonlet.repl.editor */
int ml_open_editor(lua_State *L);

#endif
