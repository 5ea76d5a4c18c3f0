/*
 * The runtime behind the public header: the bindings' shared state, and the program it runs. For
 * the files of vm/ alone.
 */
#ifndef ML_VM_MOONLET_STATE_H
#define ML_VM_MOONLET_STATE_H

#include "base/pool.h"
#include "bindings/lua_runtime.h"
#include "moonlet.h"
#include "vm/warnings.h"

#include <signal.h>

enum ml_piece_kind { ML_PIECE_STRING, ML_PIECE_FILE, ML_PIECE_SCRIPT, ML_PIECE_LIBRARY };

/* One piece of the main chunk. */
struct ml_piece {
    struct ml_piece *next;
    enum ml_piece_kind kind;
    char *text;       /* source, path (NULL: standard input) or library */
    char *chunk_name; /* of a string */
};

struct moonlet {
    struct ml_lua lua;
    struct ml_pool memory; /* of the Lua state */
    struct ml_warnings warnings;
    struct moonlet_options options;
    struct ml_piece *pieces; /* still to be run */
    struct ml_piece *piece;  /* being run */
    bool main_failed;
    volatile sig_atomic_t interrupt; /* signal number, 0: none */
    ml_time interrupted_at;          /* when everything was cancelled for it */
};

static inline struct moonlet *ml_moonlet_of(struct ml_lua *lua)
{
    return ml_container_of(lua, struct moonlet, lua);
}

/* Opens the standard libraries, the bindings and the embedded modules. Raises. */
int ml_state_open(lua_State *L);

/* The main chunk: calls the pieces in order. The function of the main task. */
int ml_program_main(lua_State *L);
void ml_program_free(struct moonlet *m);

/* Tells about tasks that nothing can wake. */
void ml_deadlock_report(struct moonlet *m);

/* Tells about the C stack that overflowed; runs in the signal handler (coro/overflow.h). */
void ml_overflow_tell(struct ml_bank *bank);

/* Installed as hub.noticed. */
void ml_interrupt_noticed(struct ml_hub *hub);

#endif
