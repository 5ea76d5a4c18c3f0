#include "db/sqlite/connection.h"

#include "base/check.h"
#include "db/sqlite/library.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct ml_wait_kind database_kind = {.text = "a database", .external = true};

/* Instructions of SQLite's machine between two looks at whether the task has given up: some 20 us.
 */
enum { LOOK_EVERY = 1000 };

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
    free(c);
}

static void drop_user(struct ml_sqlite *c)
{
    if (atomic_fetch_sub_explicit(&c->users, 1, memory_order_acq_rel) == 1)
        close_and_free(c);
}

/* ---- calls ---- */

static int on_progress(void *c)
{
    return atomic_load_explicit(&((struct ml_sqlite *)c)->is_given_up, memory_order_relaxed);
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

int ml_sqlite_run(struct ml_hub *hub, struct ml_sqlite *c, int (*make)(struct ml_sqlite *))
{
    c->call.job = (struct ml_job){
        .run = run, .release = release, .give_up = give_up, .work = ML_WORK_DATABASE};
    c->call.make = make;
    c->call.open = NULL;
    c->call.rows = c->call.columns = 0;
    empty(&c->call.output);
    atomic_store_explicit(&c->is_given_up, false, memory_order_relaxed);
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
    drop_user(connection_of(job));
}

void ml_sqlite_release(struct ml_hub *hub, struct ml_sqlite *c)
{
    if (c->is_lost || c->db == NULL || hub == NULL || c->pid != getpid()) {
        drop_user(c);
        return;
    }
    c->call.job = (struct ml_job){.run = run_close,
                                  .release = free_closed,
                                  .finished = free_closed,
                                  .must_run = true,
                                  .work = ML_WORK_DATABASE};
    ml_offload_start(hub, &c->call.job);
}
