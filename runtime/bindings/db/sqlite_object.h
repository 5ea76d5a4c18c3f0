/* The Lua object of a connection to SQLite, and the frame around its calls. */
#ifndef ML_BINDINGS_DB_SQLITE_OBJECT_H
#define ML_BINDINGS_DB_SQLITE_OBJECT_H

#include "db/sqlite/connection.h"

#include <lua.h>

struct ml_lua_sqlite {
    struct ml_sqlite *c; /* NULL: closed */
    unsigned flags;      /* of every statement: ML_SQLITE_ONLY_READS, ML_SQLITE_MAY_BEGIN */
    unsigned generation; /* counts the times when all cursors were dropped */
    bool is_busy;        /* a task is in a call */
    bool is_guarded;     /* in its transaction its task waits for nothing else */
};

extern const char ml_sqlite_type[];

/* Pushes a new object without a connection. */
struct ml_lua_sqlite *ml_sqlite_push(lua_State *L);

/* The open connection at `index`, which no task is using. Raises. */
struct ml_lua_sqlite *ml_sqlite_check(lua_State *L, int index);

/*
 * Makes the call that is filled in, while the task waits: what call.result is. Raises a
 * cancellation, an argument that does not fit the statement, and a want of memory. Afterwards the
 * call has what came of it, until the next.
 */
int ml_sqlite_call(lua_State *L, struct ml_lua_sqlite *s, int (*make)(struct ml_sqlite *));

/* Pushes nil, the message and the name of the result of the last call. Returns 3. */
int ml_sqlite_push_failure(lua_State *L, const struct ml_lua_sqlite *s);

/* Copies the text at `index` into the call. Raises for a NUL in it. */
void ml_sqlite_set_text(lua_State *L, struct ml_lua_sqlite *s, int index);

/* Ends all statements that are still open. */
void ml_sqlite_drop_cursors(struct ml_lua_sqlite *s);

/* Gives the connection up; idempotent, never waits. */
void ml_sqlite_close(lua_State *L, struct ml_lua_sqlite *s);

#endif
