/*
 * An interactive session: a task that reads entries from a person and runs them. Ctrl-C is for the
 * entry, not for the program. Knows neither the signal nor how entries are read.
 */
#ifndef ML_BINDINGS_REPL_SESSION_H
#define ML_BINDINGS_REPL_SESSION_H

#include "hub/state/scope.h"

#include <lua.h>
#include <signal.h>

enum ml_session_phase { ML_SESSION_NONE, ML_SESSION_PROMPT, ML_SESSION_ENTRY };

/* The session of a runtime; zeroed: there is none. The members that signal handlers read are
 * written last. */
struct ml_session {
    struct ml_task *task;                /* NULL: there is none */
    struct ml_scope *scope;              /* of the present phase: a line is read, an entry runs */
    _Atomic sig_atomic_t phase;          /* enum ml_session_phase, NONE: between those */
    _Atomic sig_atomic_t is_open;        /* there is one */
    _Atomic sig_atomic_t is_interrupted; /* the present phase was interrupted */
};

/* Whether the session takes Ctrl-C: there is one, and its entry was not interrupted already. From
 * signal handlers, too. */
static inline bool ml_session_takes_interrupt(const struct ml_session *s)
{
    return s->is_open && !(s->is_interrupted && s->phase == ML_SESSION_ENTRY);
}

/* Cancels the present phase; does nothing between two. False: there is no session, or it is between
 * two phases. */
bool ml_session_interrupt(struct ml_session *s);

/* moonlet.repl.session */
int ml_open_session(lua_State *L);

#endif
