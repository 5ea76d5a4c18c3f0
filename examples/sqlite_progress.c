/*
 * A long query of SQLite in a task. SQLite calls the progress handler every 1,000 steps of its
 * machine, which lets the other tasks run; and when the task was cancelled the handler says so, and
 * the query ends. Nothing of it is known to SQLite.
 */
#include "moonlet.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>

static int on_progress(void *m)
{
    return moonlet_yield(m) != 0; /* -ECANCELED: an end to it */
}

/* argument: the query. Its number, or -ECANCELED. */
static int ask(struct moonlet *m, void *argument)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int answer = -EIO;
    if (sqlite3_open(":memory:", &db) == SQLITE_OK) {
        sqlite3_progress_handler(db, 1000, on_progress, m);
        sqlite3_prepare_v2(db, argument, -1, &statement, NULL);
        int status = sqlite3_step(statement);
        if (status == SQLITE_ROW)
            answer = sqlite3_column_int(statement, 0);
        printf("query: %s\n", status == SQLITE_ROW ? "done" : sqlite3_errstr(status));
    }
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return answer;
}

static char sum[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) "
                    "SELECT sum(i) FROM n";
static char endless[] = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) "
                        "SELECT count(*) FROM n";

static int supervise(struct moonlet *m, void *argument)
{
    struct moonlet_task *query;
    int turns = 0, result = 0;
    (void)argument;
    moonlet_spawn(m, "sum", ask, sum, &query);
    while (moonlet_join(query, 0, &result) == -ETIMEDOUT && ++turns > 0)
        moonlet_yield(m);
    printf("sum %d, with %s\n", result,
           turns > 10 ? "many turns for others" : "no turn for others");
    moonlet_release(query);

    moonlet_spawn(m, "endless", ask, endless, &query);
    moonlet_sleep(m, 0.02);
    moonlet_cancel(query);
    printf("endless: %s\n", moonlet_error_text(moonlet_join(query, -1, NULL)));
    moonlet_release(query);
    return 0;
}

int main(void)
{
    struct moonlet *m = moonlet_create(NULL);
    if (m == NULL)
        return 1;
    moonlet_spawn(m, "supervisor", supervise, NULL, NULL);
    int status = moonlet_run(m);
    moonlet_close(m);
    return status;
}
