/*
 * A line that is edited on the terminal: its state on the screen, and the wait for keys. Knows
 * neither the meaning of keys (libedit does) nor the purpose of lines.
 */
#ifndef ML_BINDINGS_REPL_EDITED_LINE_H
#define ML_BINDINGS_REPL_EDITED_LINE_H

#include "bindings/core/lua_runtime.h"
#include "bindings/repl/terminal.h"
#include "hub/on/fd.h"
#include "interpose/prompt.h"
#include "io/editline.h"

#include <locale.h>

enum { ML_EDITOR_PROMPT = 256 };

struct ml_editor {
    struct ml_editline lib;
    struct ml_el *el; /* NULL: closed */
    struct ml_el_history *history;
    FILE *out; /* its own: bytes that others left in a buffer must not appear in the line */
    struct ml_libc_calls *libc_calls;
    struct ml_fd keys;     /* a duplicate of standard input */
    struct ml_prompt line; /* the runtime knows it while the editor is open */
    bool has_terminal;
    locale_t locale, outer_locale;
    unsigned columns;
    char prompt[ML_EDITOR_PROMPT]; /* invisible parts stand between marks */

    /* While a line is read. */
    lua_State *L;    /* the editor is at 1 */
    int error;       /* the error that ended the reading, negated */
    mbstate_t state; /* of a character that is incomplete */
};

/* The editor of this thread's runtime: libedit's callbacks have no other way to find it. */
struct ml_editor *ml_editor_current(void);

/* libedit works in a locale that has the characters that people type; the rest of the program in
 * its own. */
void ml_editor_enter_locale(struct ml_editor *e);
void ml_editor_leave_locale(struct ml_editor *e);

/* Writes to the terminal, at once. */
void ml_editor_say(struct ml_editor *e, const char *text);

/* The same below the line, which stays on the screen. */
void ml_editor_leave_line(struct ml_editor *e, const char *text);

/* libedit's source of characters; waits, in the task that reads the line. 1; 0 at the end of input;
 * -1 with the editor's error set. */
int ml_editor_read_key(struct ml_el *el, wchar_t *key);

#endif
