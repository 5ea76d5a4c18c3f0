/*
 * The files of a connection whose statement runs on the hub's thread: each call of theirs that may
 * wait for the disk is made by a worker, while the task waits in the middle of SQLite's code. Knows
 * no statements.
 */
#ifndef ML_DB_SQLITE_FILES_H
#define ML_DB_SQLITE_FILES_H

#include "hub/on/offload.h"

#include <sqlite3.h>
#include <stdbool.h>

/* The methods of a file of a connection, in place of its own. */
struct ml_sqlite_file_methods {
    sqlite3_io_methods methods; /* the first member: a file points to it */
    const sqlite3_io_methods *own;
    struct ml_sqlite_files *files;
};

struct ml_sqlite_files {
    struct ml_hub *hub; /* the statement runs on its thread; NULL: on a worker */
    unsigned waits;     /* calls that workers have made, of the last statement that ran there */
    struct ml_sqlite_file_methods database, log;
};

/* Puts the methods into the files that the connection has open. False: it has no log open, or one
 * whose methods are unknown, so that statements must run on a worker. */
bool ml_sqlite_files_prepare(struct ml_sqlite_files *files, sqlite3 *db);

#endif
