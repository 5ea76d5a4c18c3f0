#include "db/sqlite/connection.h"

#include "base/check.h"
#include "db/sqlite/library.h"
#include "hub/wait/slice.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind database_kind = {.text = "a database", .external = true};

/* Instructions of SQLite's machine between two looks at whether the task has given up: some 20 us.
 */
enum { LOOK_EVERY = 1000 };

/* What a short statement, or so many instructions, count in the slice of a task. */
enum { SHORT_COST = 2 * ML_SLICE_CALL };

static struct ml_sqlite *connection_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_sqlite, call.job);
}

struct ml_sqlite *ml_sqlite_new(void)
{
    struct ml_sqlite *c = calloc(1, sizeof *c);
    if (c == NULL)
        return NULL;
    c->pid = getpid();
    atomic_init(&c->users, 1);
    ml_sqlite_statements_init(&c->statements);
    return c;
}

/* Statements that a call has left open are finalized first: SQLite would wait for their end. */
static void close_database(struct ml_sqlite *c)
{
    if (c->pid != getpid() || c->db == NULL)
        return;
    sqlite3_stmt *handle;
    while ((handle = sqlite3_next_stmt(c->db, NULL)) != NULL)
        sqlite3_finalize(handle);
    sqlite3_close_v2(c->db);
    c->db = NULL;
}

static void close_and_free(struct ml_sqlite *c)
{
    close_database(c);
    ml_sqlite_statements_free(&c->statements);
    ml_buffer_release(&c->call.text);
    ml_buffer_release(&c->call.input);
    ml_buffer_release(&c->call.output);
    ml_sqlite_closings_drop(c->closings);
    free(c);
}

static void drop_user(struct ml_sqlite *c)
{
    if (atomic_fetch_sub_explicit(&c->users, 1, memory_order_acq_rel) == 1)
        close_and_free(c);
}

/* ---- calls ---- */

/* On the hub's thread a statement that is longer than it looked lets others run. */
static int on_progress(void *connection)
{
    struct ml_sqlite *c = connection;
    struct ml_hub *hub = c->files.hub;
    if (hub != NULL)
        ml_slice_spend(hub, SHORT_COST);
    if (hub != NULL && ml_slice_is_over(hub)) {
        c->others_ran = true;
        if (ml_slice_end(hub) != 0)
            atomic_store(&c->is_given_up, true);
    }
    return atomic_load_explicit(&c->is_given_up, memory_order_relaxed);
}

int ml_sqlite_note(struct ml_sqlite *c, int result)
{
    struct ml_sqlite_call *call = &c->call;
    bool is_last = c->db != NULL && sqlite3_extended_errcode(c->db) == result;
    if (result == SQLITE_AUTH)
        snprintf(call->message, sizeof call->message,
                 "a file is attached by the option 'attach' of sqlite.open(): ATTACH would reach "
                 "one connection of several");
    if (result > 0 && call->message[0] == '\0')
        snprintf(call->message, sizeof call->message, "%s",
                 is_last ? sqlite3_errmsg(c->db) : sqlite3_errstr(result));
    return result;
}

static void run(struct ml_job *job)
{
    struct ml_sqlite *c = connection_of(job);
    c->call.message[0] = '\0';
    int result = ml_sqlite_note(c, c->call.make(c));
    bool is_cut = (result & 0xff) == SQLITE_INTERRUPT && atomic_load(&c->is_given_up);
    c->call.result = is_cut ? ML_SQLITE_GIVEN_UP : result;
}

static void release(struct ml_job *job)
{
    drop_user(connection_of(job));
}

/* The flag is for a call that has not begun its statement yet: SQLite interrupts running ones. */
static void give_up(struct ml_job *job)
{
    struct ml_sqlite *c = connection_of(job);
    atomic_store(&c->is_given_up, true);
    if (c->call.make != ml_sqlite_open && c->db != NULL)
        sqlite3_interrupt(c->db);
}

/* One large value must not cost its memory for as long as the connection lives. */
static void empty(struct ml_buffer *b)
{
    enum { MOST = 1024 * 1024 };
    ml_buffer_consume(b, ml_buffer_size(b));
    if (b->capacity > MOST)
        ml_buffer_release(b);
}

void ml_sqlite_rest(struct ml_sqlite *c)
{
    empty(&c->call.text);
    empty(&c->call.input);
    empty(&c->call.output);
}

/* ---- short statements ---- */

/* Parameters with more bytes are copied by a worker. */
enum { SHORT_INPUT = 16 * 1024 };

/* How many statements go to workers after one that had to wait for the disk: others probably need
 * pages that are not in memory either, and one trip is less than one for each page. */
enum { COLD = 16 };

/* Whether the statement of the call finds or changes one row. A change is made in an open
 * transaction only: by itself it would have to be committed, and behind a savepoint it keeps a
 * journal. */
static bool is_short(struct ml_sqlite *c, const char *text, size_t size)
{
    struct ml_sqlite_statement *s = ml_sqlite_statements_peek(&c->statements, text, size);
    if (s == NULL || !s->is_short)
        return false;
    bool is_simple = sqlite3_get_autocommit(c->db) == 0 && !c->has_savepoint;
    unsigned looked_at =
        1 + (unsigned)sqlite3_stmt_status(s->handle, SQLITE_STMTSTATUS_REPREPARE, 0);
    bool is = (s->reads || is_simple) && s->looked_at == looked_at;
    c->call.found = is ? s : NULL;
    return is;
}

/* Lets others run if the slice is over. Whether the task may go on: it is not cancelled. */
static bool goes_on(struct ml_hub *hub, struct ml_sqlite *c)
{
    ml_slice_spend(hub, SHORT_COST);
    c->others_ran = ml_slice_is_over(hub);
    return (c->others_ran ? ml_slice_end(hub) : ml_cancel_point(hub)) == 0;
}

/* Whether the short statement that was found may. Only a database in memory is not sealed: it has
 * no files. */
static bool found_may_run_here(struct ml_hub *hub, struct ml_sqlite *c)
{
    if (hub->life.is_forked || ml_buffer_size(&c->call.input) > SHORT_INPUT)
        return false;
    if (c->cold > 0) {
        c->cold--;
        return false;
    }
    return (!c->is_sealed || ml_sqlite_files_prepare(&c->files, c->db)) && goes_on(hub, c);
}

static bool may_run_here(struct ml_hub *hub, struct ml_sqlite *c)
{
    const struct ml_buffer *text = &c->call.text;
    return (c->call.flags & ML_SQLITE_STATEMENT) &&
           is_short(c, ml_buffer_data(text), ml_buffer_size(text)) && found_may_run_here(hub, c);
}

static void run_here(struct ml_hub *hub, struct ml_sqlite *c)
{
    c->files.hub = hub;
    c->files.waits = 0;
    run(&c->call.job);
    c->files.hub = NULL;
    c->cold = c->files.waits > 0 ? COLD : 0;
    c->others_ran |= c->files.waits > 0;
}

static void begin_call(struct ml_sqlite *c, int (*make)(struct ml_sqlite *))
{
    c->call.job = (struct ml_job){
        .run = run, .release = release, .give_up = give_up, .work = ML_WORK_DATABASE};
    c->call.make = make;
    c->call.open = NULL;
    c->call.rows = c->call.columns = 0;
    empty(&c->call.output);
    atomic_store_explicit(&c->is_given_up, false, memory_order_relaxed);
}

bool ml_sqlite_finds_here(struct ml_sqlite *c, const char *text, size_t size)
{
    return c->cold == 0 && is_short(c, text, size) && c->call.found->reads &&
           !c->call.found->is_large;
}

bool ml_sqlite_try_here(struct ml_hub *hub, struct ml_sqlite *c, int (*make)(struct ml_sqlite *))
{
    begin_call(c, make);
    c->others_ran = false;
    if (!found_may_run_here(hub, c))
        return false;
    run_here(hub, c);
    return c->call.result == SQLITE_OK;
}

int ml_sqlite_run(struct ml_hub *hub, struct ml_sqlite *c, int (*make)(struct ml_sqlite *))
{
    begin_call(c, make);
    if (may_run_here(hub, c)) {
        run_here(hub, c);
        return 0;
    }
    c->call.found = NULL;
    atomic_fetch_add_explicit(&c->users, 1, memory_order_relaxed);
    int error = ml_offload(hub, &database_kind, &c->call.job, ML_FOREVER);
    if (error == 0)
        atomic_fetch_sub_explicit(&c->users, 1, memory_order_relaxed);
    return error;
}

/* ATTACH and DETACH change one connection, and not the others of a pool. */
static int authorize(void *c, int action, const char *a, const char *b, const char *d,
                     const char *e)
{
    (void)a, (void)b, (void)d, (void)e;
    bool is_refused = ((struct ml_sqlite *)c)->is_sealed;
    return is_refused && (action == SQLITE_ATTACH || action == SQLITE_DETACH) ? SQLITE_DENY
                                                                              : SQLITE_OK;
}

int ml_sqlite_open(struct ml_sqlite *c)
{
    if (ml_sqlite_load() != 0)
        return ML_SQLITE_NO_LIBRARY;
    int flags = (int)c->call.flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
    int result = sqlite3_open_v2(ml_buffer_data(&c->call.text), &c->db, flags, NULL);
    if (c->db == NULL)
        return SQLITE_NOMEM;
    sqlite3_extended_result_codes(c->db, 1);
    sqlite3_progress_handler(c->db, LOOK_EVERY, on_progress, c);
    sqlite3_set_authorizer(c->db, authorize, c);
    return result == SQLITE_OK ? result : sqlite3_extended_errcode(c->db);
}

bool ml_sqlite_has_transaction(const struct ml_sqlite *c)
{
    return sqlite3_get_autocommit(c->db) == 0;
}

void ml_sqlite_roll_back(struct ml_sqlite *c)
{
    sqlite3_exec(c->db, "ROLLBACK", NULL, NULL, NULL);
}

/* ---- the end ---- */

/* On a worker: the last connection of a file writes its log into it. */
static void run_close(struct ml_job *job)
{
    close_database(connection_of(job));
}

static void free_closed(struct ml_job *job)
{
    struct ml_sqlite *c = connection_of(job);
    ml_sqlite_closings_end(c->closings);
    drop_user(c);
}

void ml_sqlite_release(struct ml_hub *hub, struct ml_sqlite *c)
{
    if (c->is_lost || c->db == NULL || hub == NULL || c->pid != getpid()) {
        drop_user(c);
        return;
    }
    c->call.job = (struct ml_job){.run = run_close,
                                  .release = release,
                                  .finished = free_closed,
                                  .must_run = true,
                                  .work = ML_WORK_DATABASE};
    struct ml_sqlite_closings *closings = ml_sqlite_closings_share(c->closings);
    ml_sqlite_closings_begin(closings);
    if (ml_offload_start(hub, &c->call.job) != 0)
        ml_sqlite_closings_end(closings);
    ml_sqlite_closings_drop(closings);
}
