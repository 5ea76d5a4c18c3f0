/*
 * Statements of one row as C runs them, beside bench/sqlite.lua: a line of JSON for each,
 * nanoseconds a statement, the best of five rounds.
 *
 *     sqlite FILE COUNT
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 5, COMMITS = 100 };

static sqlite3 *db;
static sqlite3_stmt *insert, *select_one, *select_all;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void run(const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        exit(1);
}

static sqlite3_stmt *prepare(const char *text)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, text, -1, &statement, NULL) != SQLITE_OK)
        exit(1);
    return statement;
}

static void insert_row(int i)
{
    sqlite3_bind_int64(insert, 1, i);
    sqlite3_bind_text(insert, 2, "name", 4, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, i);
    if (sqlite3_step(insert) != SQLITE_DONE)
        exit(1);
    sqlite3_reset(insert);
}

static void insert_all(int count)
{
    run("BEGIN IMMEDIATE");
    for (int i = 1; i <= count; i++)
        insert_row(i);
    run("COMMIT");
}

static void select_rows(int count)
{
    for (int i = 1; i <= count; i++) {
        sqlite3_bind_int64(select_one, 1, i);
        if (sqlite3_step(select_one) != SQLITE_ROW || sqlite3_column_int64(select_one, 2) != i ||
            sqlite3_column_text(select_one, 1) == NULL)
            exit(1);
        sqlite3_reset(select_one);
    }
}

static void read_all(int count)
{
    long sum = 0;
    while (sqlite3_step(select_all) == SQLITE_ROW)
        sum += sqlite3_column_int64(select_all, 2) +
               (sqlite3_column_text(select_all, 1) == NULL ? 1 : 0);
    sqlite3_reset(select_all);
    if (sum != (long)count * (count + 1) / 2)
        exit(1);
}

static void commit_each(int count)
{
    for (int i = 1; i <= count; i++)
        insert_row(i);
}

static void measure(const char *what, void (*make)(int), int count)
{
    double best = 1e18;
    for (int i = 0; i < ROUNDS; i++) {
        double begun = now();
        make(count);
        double each = (now() - begun) / count;
        best = each < best ? each : best;
    }
    printf("{\"what\":\"%s\",\"ns\":%.1f}\n", what, best);
}

int main(int count_of_arguments, char **arguments)
{
    if (count_of_arguments != 3 ||
        sqlite3_open_v2(arguments[1], &db,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK)
        return 1;
    int count = atoi(arguments[2]);
    run("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; DROP TABLE IF EXISTS t;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n)");
    insert = prepare("INSERT OR REPLACE INTO t(id, name, n) VALUES(?, ?, ?)");
    select_one = prepare("SELECT id, name, n FROM t WHERE id = ?");
    select_all = prepare("SELECT id, name, n FROM t");
    measure("insert", insert_all, count);
    measure("select", select_rows, count);
    measure("rows", read_all, count);
    measure("commit", commit_each, COMMITS);
    return 0;
}
