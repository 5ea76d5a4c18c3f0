/* Which statements run on the hub's thread. */
#include "db/sqlite/short.h"

#include "db/sqlite/library.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static sqlite3 *db;

static int open_database(void **state)
{
    (void)state;
    if (ml_sqlite_load() != 0 ||
        sqlite3_open_v2(":memory:", &db, SQLITE_OPEN_READWRITE, NULL) != SQLITE_OK)
        return -1;
    return sqlite3_exec(db,
                        "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, n);"
                        "CREATE TABLE parent(id INTEGER PRIMARY KEY);"
                        "CREATE TABLE child(id INTEGER PRIMARY KEY, p REFERENCES parent(id));"
                        "CREATE TABLE watched(id INTEGER PRIMARY KEY, n);"
                        "CREATE TRIGGER w AFTER INSERT ON watched BEGIN DELETE FROM t; END;"
                        "CREATE TEMP TABLE other(id INTEGER PRIMARY KEY);"
                        "CREATE VIEW v AS SELECT id, hex(name) AS h FROM t",
                        NULL, NULL, NULL);
}

static int close_database(void **state)
{
    (void)state;
    return sqlite3_close_v2(db);
}

static void check_all(const char *const *texts, bool expected)
{
    for (; *texts != NULL; texts++)
        if (ml_sqlite_has_short_program(db, *texts, strlen(*texts)) != expected)
            fail_msg("%s", *texts);
}

static void test_statements_of_one_row_are_short(void **state)
{
    static const char *const texts[] = {"SELECT n FROM t WHERE id = ?",
                                        "SELECT id, n FROM t WHERE name = ?",
                                        "SELECT n + 1, name FROM t WHERE id = :id LIMIT 1",
                                        "SELECT 1",
                                        "INSERT INTO t VALUES(?, ?, ?)",
                                        "INSERT OR REPLACE INTO t VALUES(?, ?, ?)",
                                        "UPDATE t SET n = ? WHERE id = ?",
                                        "DELETE FROM t WHERE id = ?",
                                        "INSERT INTO child VALUES(?, ?)",
                                        NULL};
    (void)state;
    check_all(texts, true);
}

static void test_loops_functions_triggers_and_other_files_are_not(void **state)
{
    static const char *const texts[] = {
        "SELECT n FROM t",
        "SELECT n FROM t WHERE n = ?",
        "SELECT n FROM t WHERE id > ?",
        "SELECT n FROM t WHERE id IN (1, 2)",
        "SELECT count(*) FROM t",
        "SELECT n FROM t ORDER BY n",
        "SELECT hex(zeroblob(?))",
        "SELECT h FROM v WHERE id = ?",
        "SELECT n FROM t WHERE id = ? AND name LIKE ?",
        "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM "
        "c) SELECT x FROM c",
        "INSERT INTO t(n) VALUES(1), (2)",
        "INSERT INTO t(n) SELECT n FROM t",
        "INSERT INTO watched VALUES(1, 2)",
        "UPDATE t SET n = 1",
        "DELETE FROM t",
        "SELECT id FROM other WHERE id = 1",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "PRAGMA journal_mode",
        "CREATE TABLE u(x)",
        "VACUUM",
        "EXPLAIN SELECT 1",
        "",
        "no statement",
        NULL};
    (void)state;
    check_all(texts, false);
}

static void test_long_texts_are_not_looked_at(void **state)
{
    char text[8192];
    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, "SELECT 1", 8);
    assert_true(ml_sqlite_has_short_program(db, text, 4096));
    assert_false(ml_sqlite_has_short_program(db, text, sizeof text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_statements_of_one_row_are_short),
        cmocka_unit_test(test_loops_functions_triggers_and_other_files_are_not),
        cmocka_unit_test(test_long_texts_are_not_looked_at)};
    return cmocka_run_group_tests(tests, open_database, close_database);
}
