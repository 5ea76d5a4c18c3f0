/*
 * Queries of one row as C runs them with libpq, beside bench/postgres.lua: a line of JSON for each,
 * nanoseconds a query, the best of five rounds.
 *
 *     postgres CONNINFO COUNT
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { ROUNDS = 5 };

static PGconn *conn;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void check(PGresult *result, ExecStatusType expected)
{
    if (PQresultStatus(result) != expected) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        exit(1);
    }
}

static void run(const char *text)
{
    PGresult *result = PQexec(conn, text);
    check(result, PGRES_COMMAND_OK);
    PQclear(result);
}

static void prepare(const char *name, const char *text)
{
    PGresult *result = PQprepare(conn, name, text, 0, NULL);
    check(result, PGRES_COMMAND_OK);
    PQclear(result);
}

/* Reads the values of a row, as a program would. */
static void read_row(const PGresult *result, int row, int wanted)
{
    if (atoi(PQgetvalue(result, row, 0)) != wanted || atoi(PQgetvalue(result, row, 2)) != wanted ||
        strcmp(PQgetvalue(result, row, 1), "name") != 0)
        exit(1);
}

static void select_rows(int count)
{
    char text[16];
    const char *values[] = {text};
    for (int i = 1; i <= count; i++) {
        snprintf(text, sizeof text, "%d", i);
        PGresult *result = PQexecPrepared(conn, "one", 1, values, NULL, NULL, 0);
        check(result, PGRES_TUPLES_OK);
        read_row(result, 0, i);
        PQclear(result);
    }
}

static void read_all(int count)
{
    PGresult *result = PQexecPrepared(conn, "all", 0, NULL, NULL, NULL, 0);
    check(result, PGRES_TUPLES_OK);
    for (int i = 0; i < count; i++)
        read_row(result, i, i + 1);
    PQclear(result);
}

static void insert_rows(int count)
{
    char text[16];
    const char *values[] = {text};
    run("TRUNCATE t");
    run("BEGIN");
    for (int i = 1; i <= count; i++) {
        snprintf(text, sizeof text, "%d", i);
        PGresult *result = PQexecPrepared(conn, "insert", 1, values, NULL, NULL, 0);
        check(result, PGRES_COMMAND_OK);
        PQclear(result);
    }
    run("COMMIT");
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
    if (count_of_arguments != 3)
        return 1;
    conn = PQconnectdb(arguments[1]);
    if (PQstatus(conn) != CONNECTION_OK) {
        fprintf(stderr, "%s", PQerrorMessage(conn));
        return 1;
    }
    int count = atoi(arguments[2]);
    run("SET client_min_messages = warning; DROP TABLE IF EXISTS t;"
        "CREATE TABLE t(id int PRIMARY KEY, name text, n int)");
    prepare("insert", "INSERT INTO t VALUES ($1::int, 'name', $1::int)");
    prepare("one", "SELECT id, name, n FROM t WHERE id = $1");
    prepare("all", "SELECT id, name, n FROM t ORDER BY id");
    measure("insert", insert_rows, count);
    run("ANALYZE t");
    measure("select", select_rows, count);
    measure("rows", read_all, count);
    PQfinish(conn);
    return 0;
}
