/*
 * The terminal on which lines are edited: its settings, its signals, and the layout of texts on the
 * screen. A process has one. Knows no editor and no Lua.
 */
#ifndef ML_BINDINGS_REPL_TERMINAL_H
#define ML_BINDINGS_REPL_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <wchar.h>

struct ml_hub;

/* Stands around the invisible parts of a prompt. */
#define ML_TERMINAL_MARK '\1'

/* Notes the settings, and has the hub notified when the size changes or the process continues after
 * a stop. False: the terminal is in use, or it is none. */
bool ml_terminal_open(int fd, struct ml_hub *hub);
void ml_terminal_close(void);

/* While true, an end of the process restores the settings. */
void ml_terminal_note_editing(bool is_editing);

/* Restores the settings if a line is edited. From signal handlers, too. */
void ml_terminal_restore(void);

/* Whether the process was stopped since the last call: another program may have changed the
 * settings. */
bool ml_terminal_was_stopped(void);

/* At least 2. */
unsigned ml_terminal_columns(void);

/* A position on the screen, from 0. */
struct ml_place_on_screen {
    unsigned row, column;
};

/* Moves the position over a text as libedit lays it out, in the locale of the thread. */
void ml_terminal_advance(struct ml_place_on_screen *place, const wchar_t *text, size_t length,
                         unsigned columns);

#endif
