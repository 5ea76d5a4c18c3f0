/*
 * The prepared statements that a connection keeps, found by their text: the least recently used one
 * gives way. SQLite itself prepares one anew after a change of the schema. Knows no parameters.
 */
#ifndef ML_DB_SQLITE_STATEMENTS_H
#define ML_DB_SQLITE_STATEMENTS_H

#include "base/list.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ML_SQLITE_STATEMENTS = 256, ML_SQLITE_BUCKETS = 512 };

/* The longest text that is worth keeping. */
enum { ML_SQLITE_KEPT_TEXT = 64 * 1024 };

struct ml_sqlite_statement {
    struct ml_link link; /* in `kept`, the most recently used first; in no list while it is used */
    struct ml_link member;            /* in `all` */
    struct ml_sqlite_statement *next; /* of its bucket */
    sqlite3_stmt *handle;
    uint64_t hash;
    size_t size;
    bool is_kept;       /* it stands in a bucket */
    bool reads;         /* it changes nothing */
    bool is_short;      /* it may run on the hub's thread (db/sqlite/short.h) */
    bool is_large;      /* a row of it took more room than the short way has */
    unsigned looked_at; /* 0: nobody has asked whether it is short; else 1 + how often it was
                           prepared anew by then */
    char text[];
};

struct ml_sqlite_statements {
    struct ml_link kept;
    struct ml_link all;
    unsigned taken; /* and not given back */
    unsigned count; /* of those in buckets, also while they are used */
    struct ml_sqlite_statement *buckets[ML_SQLITE_BUCKETS];
};

void ml_sqlite_statements_init(struct ml_sqlite_statements *s);

/* Frees all, also those in use, once their handles have been finalized. */
void ml_sqlite_statements_free(struct ml_sqlite_statements *s);

/*
 * Takes the statement of that text, prepared: SQLITE_OK, and the caller gives it back. Otherwise
 * another result of SQLite's, ML_SQLITE_EMPTY or ML_SQLITE_SEVERAL.
 */
int ml_sqlite_statements_take(struct ml_sqlite_statements *s, sqlite3 *db, const char *text,
                              size_t size, struct ml_sqlite_statement **out);

/* Takes one that peek() has just found, and that has been looked at. */
void ml_sqlite_statements_take_found(struct ml_sqlite_statements *s,
                                     struct ml_sqlite_statement *statement);

/* The statement of that text, if it is kept and not in use; it stays where it is. */
struct ml_sqlite_statement *ml_sqlite_statements_peek(struct ml_sqlite_statements *s,
                                                      const char *text, size_t size);

/* Gives one back, which has been reset, or finalizes it. */
void ml_sqlite_statements_give(struct ml_sqlite_statements *s,
                               struct ml_sqlite_statement *statement);

#endif
