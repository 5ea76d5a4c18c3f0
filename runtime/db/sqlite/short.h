/*
 * Which statements are short: those that find, change or add one row. SQLite's program for one has
 * no loop, calls no function, and touches the main file only.
 */
#ifndef ML_DB_SQLITE_SHORT_H
#define ML_DB_SQLITE_SHORT_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>

/* Asks SQLite for the program of the statement. Runs on a worker. */
bool ml_sqlite_has_short_program(sqlite3 *db, const char *text, size_t size);

#endif
