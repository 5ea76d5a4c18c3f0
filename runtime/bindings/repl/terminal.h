/*
 * The terminal on which lines are edited: its settings, the signals that concern it, and where on
 * the screen a text ends. There is one to a process. Knows no editor and no Lua.
 */
#ifndef ML_BINDINGS_REPL_TERMINAL_H
#define ML_BINDINGS_REPL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

/* Stands around what a prompt sends to the terminal without being seen. */
#define ML_TERMINAL_MARK '\1'

/* Notes the settings and has the hub of this thread noticed when the size changes or the process
 * goes on after a stop. False: that is taken, or it is none. */
bool ml_terminal_open(int fd);
void ml_terminal_close(void);

/* From here on, until false is told, an end of the process gives back the settings. */
void ml_terminal_note_editing(bool is_editing);

/* Gives back the settings if something is edited. From signal handlers, too. */
void ml_terminal_restore(void);

/* Whether the process was stopped since this was last asked: the settings may be others'. */
bool ml_terminal_was_stopped(void);

/* At least 2. */
unsigned ml_terminal_columns(void);

/* A place on the screen, from 0. */
struct ml_place_on_screen {
    unsigned row, column;
};

/* Moves the place over a text as libedit lays it out, in the locale of the thread. */
void ml_terminal_advance(struct ml_place_on_screen *place, const wchar_t *text, size_t length,
                         unsigned columns);

#endif
