#include "db/sqlite/statement_call.h"

#include "base/check.h"
#include "db/sqlite/library.h"
#include "db/sqlite/parameters.h"
#include "db/sqlite/rows.h"

#include <string.h>

static void give_back(struct ml_sqlite *c, struct ml_sqlite_statement *statement)
{
    sqlite3_clear_bindings(statement->handle);
    ml_sqlite_statements_give(&c->statements, statement);
}

/* Notes the message, which reset() would replace, and gives the statement back unless it has more
 * rows for a later call. */
static int end_step(struct ml_sqlite *c, struct ml_sqlite_statement *statement, int result)
{
    if (result == SQLITE_ROW && !(c->call.flags & ML_SQLITE_SINGLE)) {
        c->call.open = statement;
        return SQLITE_OK;
    }
    result = result == SQLITE_ROW || result == SQLITE_DONE ? SQLITE_OK : ml_sqlite_note(c, result);
    int after = sqlite3_reset(statement->handle);
    if (result == SQLITE_OK)
        result = ml_sqlite_note(c, after);
    give_back(c, statement);
    return result;
}

/* The rows that the statement itself has changed; those of triggers are not counted. */
static int64_t changes_since(const struct ml_sqlite *c, int64_t total)
{
    return sqlite3_total_changes(c->db) != total ? sqlite3_changes(c->db) : 0;
}

/* Statements without columns that change nothing are those around transactions, and settings:
 * inside a transaction one of them may have made a savepoint. */
static void note_savepoint(struct ml_sqlite *c, const struct ml_sqlite_statement *statement,
                           bool was_inside)
{
    if (sqlite3_get_autocommit(c->db) != 0)
        c->has_savepoint = false;
    else if (statement == NULL ||
             (was_inside && statement->reads && sqlite3_column_count(statement->handle) == 0))
        c->has_savepoint = true;
}

static int run_taken(struct ml_sqlite *c, struct ml_sqlite_statement *statement)
{
    struct ml_sqlite_call *call = &c->call;
    bool was_inside = sqlite3_get_autocommit(c->db) == 0;
    int64_t total = sqlite3_total_changes(c->db);
    bool is_refused = (call->flags & ML_SQLITE_ONLY_READS) && !statement->reads;
    int result = is_refused ? ML_SQLITE_WRITES : ml_sqlite_bind(call, statement->handle);
    if (result != SQLITE_OK) {
        ml_sqlite_note(c, result);
        give_back(c, statement);
        return result;
    }
    result = ml_sqlite_step(call, statement);
    note_savepoint(c, statement, was_inside);
    result = end_step(c, statement, result);
    call->changes = result == SQLITE_OK ? changes_since(c, total) : 0;
    call->rowid = call->changes > 0 ? sqlite3_last_insert_rowid(c->db) : 0;
    return result;
}

/* A transaction that the caller does not know of would go to the next user of the connection. */
static int refuse_transaction(struct ml_sqlite *c, int result)
{
    bool is_known = c->call.flags & ML_SQLITE_MAY_BEGIN;
    if (is_known || sqlite3_get_autocommit(c->db) != 0)
        return result;
    ml_sqlite_note(c, result);
    if (c->call.open != NULL)
        ml_sqlite_drop_cursor(c, c->call.open);
    c->call.open = NULL;
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
    return result == SQLITE_OK ? ML_SQLITE_LEFT_OPEN : result;
}

/* An error has rolled back the transaction: what follows would be committed alone. */
static bool has_lost_transaction(const struct ml_sqlite *c)
{
    return (c->call.flags & ML_SQLITE_WITHIN) && sqlite3_get_autocommit(c->db) != 0;
}

int ml_sqlite_execute(struct ml_sqlite *c)
{
    struct ml_sqlite_statement *statement;
    const char *text = ml_buffer_data(&c->call.text);
    size_t size = ml_buffer_size(&c->call.text);
    if (has_lost_transaction(c))
        return ML_SQLITE_ENDED;
    statement = c->call.found;
    int result = SQLITE_OK;
    if (statement != NULL)
        ml_sqlite_statements_take_found(&c->statements, statement);
    else
        result = ml_sqlite_statements_take(&c->statements, c->db, text, size, &statement);
    if (result == SQLITE_OK)
        result = run_taken(c, statement);
    return refuse_transaction(c, result);
}

int ml_sqlite_fetch(struct ml_sqlite *c)
{
    struct ml_sqlite_statement *cursor = c->call.cursor;
    return end_step(c, cursor, ml_sqlite_step(&c->call, cursor));
}

/* Runs the first statement of *text, and moves *text behind it. */
static int run_first(struct ml_sqlite *c, const char **text, const char *end)
{
    sqlite3_stmt *handle = NULL;
    int result = sqlite3_prepare_v3(c->db, *text, (int)(end - *text), 0, &handle, text);
    if (result != SQLITE_OK)
        return ml_sqlite_note(c, result);
    if (handle != NULL && sqlite3_bind_parameter_count(handle) > 0)
        result = ML_SQLITE_PARAMETERS;
    while (handle != NULL && result == SQLITE_OK)
        result = sqlite3_step(handle) == SQLITE_ROW ? SQLITE_OK : SQLITE_DONE;
    int after = sqlite3_finalize(handle);
    return result == ML_SQLITE_PARAMETERS ? result : ml_sqlite_note(c, after);
}

int ml_sqlite_script(struct ml_sqlite *c)
{
    const char *text = ml_buffer_data(&c->call.text);
    const char *end = text + ml_buffer_size(&c->call.text);
    int result = has_lost_transaction(c) ? ML_SQLITE_ENDED : SQLITE_OK;
    while (result == SQLITE_OK && text < end)
        result = atomic_load(&c->is_given_up) ? SQLITE_INTERRUPT : run_first(c, &text, end);
    note_savepoint(c, NULL, false);
    return refuse_transaction(c, result);
}

void ml_sqlite_drop_cursor(struct ml_sqlite *c, struct ml_sqlite_statement *cursor)
{
    sqlite3_reset(cursor->handle);
    give_back(c, cursor);
}

void ml_sqlite_drop_all_cursors(struct ml_sqlite *c)
{
    struct ml_link *at = c->statements.all.next;
    while (at != &c->statements.all) {
        struct ml_sqlite_statement *statement =
            ml_container_of(at, struct ml_sqlite_statement, member);
        at = at->next;
        if (!ml_link_is_in_list(&statement->link))
            ml_sqlite_drop_cursor(c, statement);
    }
}
