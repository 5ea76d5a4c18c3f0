/*
 * A connection to a database file: its one call at a time runs on a worker (hub/on/offload.h), and
 * all that SQLite does is done there. The call's texts, parameters and rows are cells in buffers.
 * Knows no pool, and nothing of transactions but whether one is open.
 */
#ifndef ML_DB_SQLITE_CONNECTION_H
#define ML_DB_SQLITE_CONNECTION_H

#include "db/sqlite/cells.h"
#include "db/sqlite/closings.h"
#include "db/sqlite/files.h"
#include "db/sqlite/refusal.h"
#include "db/sqlite/statements.h"
#include "hub/on/offload.h"

#include <stdatomic.h>
#include <sys/types.h>

/* How a statement is run. */
enum {
    ML_SQLITE_STATEMENT =
        1 << 30,              /* the call runs the statement of its text, perhaps on this thread */
    ML_SQLITE_ONLY_READS = 1, /* refuse one that changes something */
    ML_SQLITE_MAY_BEGIN = 2,  /* a transaction may be open afterwards */
    ML_SQLITE_WANTS_ROWS = 4, /* keep them; otherwise they are counted by nobody */
    ML_SQLITE_NAMED = 8,      /* before each parameter stands its name */
    ML_SQLITE_SINGLE = 16,    /* one row is enough */
    ML_SQLITE_WANTS_TYPES = 32, /* behind the names of the columns stand their declared types */
    ML_SQLITE_WITHIN = 64       /* refuse to run outside of a transaction: an error ended it */
};

/* Rows that one call brings: it ends with the first that makes them more than that. */
enum { ML_SQLITE_BATCH_ROWS = 256, ML_SQLITE_BATCH_BYTES = 256 * 1024 };

struct ml_sqlite;

struct ml_sqlite_call {
    struct ml_job job;
    int (*make)(struct ml_sqlite *); /* on a worker: a result of SQLite's, or a refusal */

    /* What it needs. */
    struct ml_buffer text;  /* SQL, or the path of a file; a 0 follows */
    struct ml_buffer input; /* the parameters */
    unsigned parameters;
    unsigned flags;
    unsigned max_rows;
    struct ml_sqlite_statement *cursor; /* whose next rows are fetched */
    struct ml_sqlite_statement *found;  /* of the text, which runs on this thread; or NULL */

    /* What came of it. */
    int result;
    char message[256];
    struct ml_buffer output; /* the names of the columns, then the rows */
    unsigned columns;
    unsigned rows;
    struct ml_sqlite_statement *open; /* that has more rows; NULL: there are none */
    int64_t changes;
    int64_t rowid;
};

struct ml_sqlite {
    atomic_uint users; /* the owner, and a call that no task waits for any more */
    atomic_bool is_given_up;
    pid_t pid;
    sqlite3 *db; /* NULL: not open */
    struct ml_sqlite_statements statements;
    struct ml_sqlite_call call;
    struct ml_sqlite_files files;
    struct ml_sqlite_closings *closings; /* where its closing counts; NULL: nowhere */
    unsigned cold;      /* statements that still go to workers, since the last one had to read */
    bool others_ran;    /* while the last statement that ran on this thread did */
    bool has_savepoint; /* perhaps: its journal would be written on the thread of the statement */
    bool is_sealed;     /* refuses ATTACH */
    bool is_lost;       /* to be set by the owner: a call has kept it */
};

/* A connection that is not open. NULL: no memory. */
struct ml_sqlite *ml_sqlite_new(void);

/*
 * Has a worker do `make`, while the running task waits; the caller has filled in the call. A short
 * statement runs on this thread instead, and leaves to workers what it needs of the disk. 0: see
 * call.result. Otherwise an error of ml_offload(): the connection is lost for its owner, who only
 * releases it, unless that is -ECHILD, -EAGAIN or -ENOMEM.
 *
 * A task that is cancelled meanwhile interrupts SQLite and waits for the end of the call, some
 * seconds at most. The result is 0 all the same if the call had its effect, else
 * ML_SQLITE_GIVEN_UP.
 */
int ml_sqlite_run(struct ml_hub *hub, struct ml_sqlite *c, int (*make)(struct ml_sqlite *));

/*
 * The same for a statement that only reads, on this thread or not at all; `text` must last, but
 * need not be in the call. False: it may not run here, or had no success, and has no effect.
 */
bool ml_sqlite_try_here(struct ml_hub *hub, struct ml_sqlite *c, int (*make)(struct ml_sqlite *));

/* Whether the statement of that text only finds a row, and would run on this thread now. Notes it
 * for ml_sqlite_try_here(). */
bool ml_sqlite_finds_here(struct ml_sqlite *c, const char *text, size_t size);

/* For ml_sqlite_run(): opens the file call.text with the flags call.flags of SQLite's. */
int ml_sqlite_open(struct ml_sqlite *c);

/* For what runs on the worker: notes SQLite's sentence about the error, unless the call has one
 * already. Returns `result`. */
int ml_sqlite_note(struct ml_sqlite *c, int result);

/* Its user has no more calls for now: drops what they have brought. No call is running. */
void ml_sqlite_rest(struct ml_sqlite *c);

/* Whether a transaction is open. No call is running. */
bool ml_sqlite_has_transaction(const struct ml_sqlite *c);

/* Undoes the open transaction, on this thread. No call is running. */
void ml_sqlite_roll_back(struct ml_sqlite *c);

/* Has a worker close it: the owner has no use for it any more. In a forked process nothing is
 * closed: the file belongs to the parent. */
void ml_sqlite_release(struct ml_hub *hub, struct ml_sqlite *c);

#endif
