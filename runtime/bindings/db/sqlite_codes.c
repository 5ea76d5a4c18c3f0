#include "bindings/db/sqlite_codes.h"

#include "db/sqlite/refusal.h"

#include <sqlite3.h>
#include <stddef.h>

/* Numbers are those of SQLite's documentation: an older header lacks some. */
#define RESULT(name, kind, detail)                                                                 \
    {                                                                                              \
        "SQLITE_" #name, (kind) | (detail) << 8                                                    \
    }

static const struct {
    const char *name;
    int result;
} results[] = {
    RESULT(OK, 0, 0),
    RESULT(ERROR, 1, 0),
    RESULT(INTERNAL, 2, 0),
    RESULT(PERM, 3, 0),
    RESULT(ABORT, 4, 0),
    RESULT(BUSY, 5, 0),
    RESULT(LOCKED, 6, 0),
    RESULT(NOMEM, 7, 0),
    RESULT(READONLY, 8, 0),
    RESULT(INTERRUPT, 9, 0),
    RESULT(IOERR, 10, 0),
    RESULT(CORRUPT, 11, 0),
    RESULT(NOTFOUND, 12, 0),
    RESULT(FULL, 13, 0),
    RESULT(CANTOPEN, 14, 0),
    RESULT(PROTOCOL, 15, 0),
    RESULT(EMPTY, 16, 0),
    RESULT(SCHEMA, 17, 0),
    RESULT(TOOBIG, 18, 0),
    RESULT(CONSTRAINT, 19, 0),
    RESULT(MISMATCH, 20, 0),
    RESULT(MISUSE, 21, 0),
    RESULT(NOLFS, 22, 0),
    RESULT(AUTH, 23, 0),
    RESULT(FORMAT, 24, 0),
    RESULT(RANGE, 25, 0),
    RESULT(NOTADB, 26, 0),
    RESULT(NOTICE, 27, 0),
    RESULT(WARNING, 28, 0),
    RESULT(ROW, 100, 0),
    RESULT(ERROR_MISSING_COLLSEQ, 1, 1),
    RESULT(ERROR_RETRY, 1, 2),
    RESULT(ERROR_SNAPSHOT, 1, 3),
    RESULT(IOERR_READ, 10, 1),
    RESULT(IOERR_SHORT_READ, 10, 2),
    RESULT(IOERR_WRITE, 10, 3),
    RESULT(IOERR_FSYNC, 10, 4),
    RESULT(IOERR_DIR_FSYNC, 10, 5),
    RESULT(IOERR_TRUNCATE, 10, 6),
    RESULT(IOERR_FSTAT, 10, 7),
    RESULT(IOERR_UNLOCK, 10, 8),
    RESULT(IOERR_RDLOCK, 10, 9),
    RESULT(IOERR_DELETE, 10, 10),
    RESULT(IOERR_BLOCKED, 10, 11),
    RESULT(IOERR_NOMEM, 10, 12),
    RESULT(IOERR_ACCESS, 10, 13),
    RESULT(IOERR_CHECKRESERVEDLOCK, 10, 14),
    RESULT(IOERR_LOCK, 10, 15),
    RESULT(IOERR_CLOSE, 10, 16),
    RESULT(IOERR_DIR_CLOSE, 10, 17),
    RESULT(IOERR_SHMOPEN, 10, 18),
    RESULT(IOERR_SHMSIZE, 10, 19),
    RESULT(IOERR_SHMLOCK, 10, 20),
    RESULT(IOERR_SHMMAP, 10, 21),
    RESULT(IOERR_SEEK, 10, 22),
    RESULT(IOERR_DELETE_NOENT, 10, 23),
    RESULT(IOERR_MMAP, 10, 24),
    RESULT(IOERR_GETTEMPPATH, 10, 25),
    RESULT(IOERR_CONVPATH, 10, 26),
    RESULT(IOERR_VNODE, 10, 27),
    RESULT(IOERR_AUTH, 10, 28),
    RESULT(IOERR_BEGIN_ATOMIC, 10, 29),
    RESULT(IOERR_COMMIT_ATOMIC, 10, 30),
    RESULT(IOERR_ROLLBACK_ATOMIC, 10, 31),
    RESULT(IOERR_DATA, 10, 32),
    RESULT(IOERR_CORRUPTFS, 10, 33),
    RESULT(LOCKED_SHAREDCACHE, 6, 1),
    RESULT(LOCKED_VTAB, 6, 2),
    RESULT(BUSY_RECOVERY, 5, 1),
    RESULT(BUSY_SNAPSHOT, 5, 2),
    RESULT(BUSY_TIMEOUT, 5, 3),
    RESULT(CANTOPEN_NOTEMPDIR, 14, 1),
    RESULT(CANTOPEN_ISDIR, 14, 2),
    RESULT(CANTOPEN_FULLPATH, 14, 3),
    RESULT(CANTOPEN_CONVPATH, 14, 4),
    RESULT(CANTOPEN_DIRTYWAL, 14, 5),
    RESULT(CANTOPEN_SYMLINK, 14, 6),
    RESULT(CORRUPT_VTAB, 11, 1),
    RESULT(CORRUPT_SEQUENCE, 11, 2),
    RESULT(CORRUPT_INDEX, 11, 3),
    RESULT(READONLY_RECOVERY, 8, 1),
    RESULT(READONLY_CANTLOCK, 8, 2),
    RESULT(READONLY_ROLLBACK, 8, 3),
    RESULT(READONLY_DBMOVED, 8, 4),
    RESULT(READONLY_CANTINIT, 8, 5),
    RESULT(READONLY_DIRECTORY, 8, 6),
    RESULT(ABORT_ROLLBACK, 4, 2),
    RESULT(CONSTRAINT_CHECK, 19, 1),
    RESULT(CONSTRAINT_COMMITHOOK, 19, 2),
    RESULT(CONSTRAINT_FOREIGNKEY, 19, 3),
    RESULT(CONSTRAINT_FUNCTION, 19, 4),
    RESULT(CONSTRAINT_NOTNULL, 19, 5),
    RESULT(CONSTRAINT_PRIMARYKEY, 19, 6),
    RESULT(CONSTRAINT_TRIGGER, 19, 7),
    RESULT(CONSTRAINT_UNIQUE, 19, 8),
    RESULT(CONSTRAINT_VTAB, 19, 9),
    RESULT(CONSTRAINT_ROWID, 19, 10),
    RESULT(CONSTRAINT_PINNED, 19, 11),
    RESULT(CONSTRAINT_DATATYPE, 19, 12),
    RESULT(NOTICE_RECOVER_WAL, 27, 1),
    RESULT(NOTICE_RECOVER_ROLLBACK, 27, 2),
    RESULT(WARNING_AUTOINDEX, 28, 1),
    RESULT(AUTH_USER, 23, 1),
};

/* NULL: SQLite has a result that this file does not know. */
static const char *find(int result)
{
    const char *name = NULL;
    for (size_t i = 0; name == NULL && i < sizeof results / sizeof *results; i++)
        name = results[i].result == result ? results[i].name : NULL;
    return name;
}

void ml_sqlite_push_code(lua_State *L, int result)
{
    const char *name = find(result);
    if (name == NULL)
        name = find(result & 0xff);
    if (result < 0)
        name = result == ML_SQLITE_WRITES  ? "WRITES"
               : result == ML_SQLITE_ENDED ? "SQLITE_ABORT_ROLLBACK"
                                           : "SQLITE_MISUSE";
    lua_pushstring(L, name != NULL ? name : "SQLITE_ERROR");
}

const char *ml_sqlite_refusal_text(int result)
{
    switch (result) {
    case ML_SQLITE_WRITES:
        return "the statement changes something";
    case ML_SQLITE_EMPTY:
        return "the text has no statement";
    case ML_SQLITE_SEVERAL:
        return "the text has several statements: db:script() runs them";
    case ML_SQLITE_LEFT_OPEN:
        return "a transaction is begun by db:transaction() only: it was rolled back";
    case ML_SQLITE_ENDED:
        return "the transaction is over: an error rolled it back, or a statement ended it";
    case ML_SQLITE_NO_LIBRARY:
        return "SQLite is not installed (libsqlite3.so.0)";
    default:
        return "the call failed";
    }
}
