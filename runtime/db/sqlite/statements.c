#include "db/sqlite/statements.h"

#include "base/check.h"
#include "db/sqlite/library.h"
#include "db/sqlite/refusal.h"
#include "db/sqlite/short.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a by words; its last bits choose the bucket. */
static uint64_t hash_of(const char *text, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u ^ size, word;
    for (; size >= sizeof word; text += sizeof word, size -= sizeof word) {
        memcpy(&word, text, sizeof word);
        hash = (hash ^ word) * 0x100000001b3u;
        hash ^= hash >> 29;
    }
    for (; size > 0; text++, size--)
        hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
    return hash ^ hash >> 32;
}

static struct ml_sqlite_statement **bucket_of(struct ml_sqlite_statements *s, uint64_t hash)
{
    return &s->buckets[hash % ML_SQLITE_BUCKETS];
}

void ml_sqlite_statements_init(struct ml_sqlite_statements *s)
{
    *s = (struct ml_sqlite_statements){0};
    ml_list_init(&s->kept);
    ml_list_init(&s->all);
}

static void forget(struct ml_sqlite_statements *s, struct ml_sqlite_statement *statement)
{
    struct ml_sqlite_statement **at = bucket_of(s, statement->hash);
    while (*at != statement)
        at = &(*at)->next;
    *at = statement->next;
    statement->is_kept = false;
    s->count--;
}

static void free_statement(struct ml_sqlite_statement *statement)
{
    ml_list_remove(&statement->member);
    sqlite3_finalize(statement->handle);
    free(statement);
}

static struct ml_sqlite_statement *last_of(struct ml_sqlite_statements *s)
{
    return ml_container_of(s->kept.prev, struct ml_sqlite_statement, link);
}

static void drop_last(struct ml_sqlite_statements *s)
{
    struct ml_sqlite_statement *last = last_of(s);
    ml_list_remove(&last->link);
    forget(s, last);
    free_statement(last);
}

void ml_sqlite_statements_free(struct ml_sqlite_statements *s)
{
    while (!ml_list_is_empty(&s->all)) {
        struct ml_sqlite_statement *first =
            ml_container_of(s->all.next, struct ml_sqlite_statement, member);
        ml_list_remove(&first->member);
        free(first);
    }
}

/* One that is in use by a cursor is not found. */
static struct ml_sqlite_statement *find(struct ml_sqlite_statements *s, const char *text,
                                        size_t size, uint64_t hash)
{
    struct ml_sqlite_statement *found = *bucket_of(s, hash);
    while (found != NULL &&
           (found->hash != hash || found->size != size || !ml_link_is_in_list(&found->link) ||
            memcmp(found->text, text, size) != 0))
        found = found->next;
    return found;
}

static bool is_blank(const char *text, const char *end)
{
    while (text < end && (*text == ' ' || *text == '\n' || *text == '\t' || *text == '\r' ||
                          *text == '\f' || *text == ';'))
        text++;
    return text == end;
}

/* Whether nothing but comments and blanks follows. */
static bool is_rest_empty(sqlite3 *db, const char *text, const char *end)
{
    sqlite3_stmt *other = NULL;
    if (is_blank(text, end))
        return true;
    bool is_empty = sqlite3_prepare_v3(db, text, (int)(end - text), 0, &other, NULL) == SQLITE_OK &&
                    other == NULL;
    sqlite3_finalize(other);
    return is_empty;
}

static int prepare(sqlite3 *db, struct ml_sqlite_statement *statement)
{
    const char *text = statement->text, *rest = NULL;
    unsigned flags = statement->size <= ML_SQLITE_KEPT_TEXT ? SQLITE_PREPARE_PERSISTENT : 0;
    int result =
        sqlite3_prepare_v3(db, text, (int)statement->size, flags, &statement->handle, &rest);
    if (result != SQLITE_OK)
        return result;
    if (statement->handle == NULL)
        return ML_SQLITE_EMPTY;
    if (!is_rest_empty(db, rest, text + statement->size))
        return ML_SQLITE_SEVERAL;
    statement->reads = sqlite3_stmt_readonly(statement->handle) != 0;
    return SQLITE_OK;
}

static struct ml_sqlite_statement *new_statement(const char *text, size_t size, uint64_t hash)
{
    struct ml_sqlite_statement *statement = malloc(sizeof *statement + size + 1);
    if (statement == NULL)
        return NULL;
    *statement = (struct ml_sqlite_statement){.hash = hash, .size = size};
    memcpy(statement->text, text, size);
    statement->text[size] = '\0';
    return statement;
}

static void keep(struct ml_sqlite_statements *s, struct ml_sqlite_statement *statement)
{
    struct ml_sqlite_statement **bucket = bucket_of(s, statement->hash);
    if (statement->size > ML_SQLITE_KEPT_TEXT)
        return;
    if (s->count == ML_SQLITE_STATEMENTS && !ml_list_is_empty(&s->kept))
        drop_last(s);
    if (s->count == ML_SQLITE_STATEMENTS)
        return;
    statement->next = *bucket;
    *bucket = statement;
    statement->is_kept = true;
    s->count++;
}

struct ml_sqlite_statement *ml_sqlite_statements_peek(struct ml_sqlite_statements *s,
                                                      const char *text, size_t size)
{
    return find(s, text, size, hash_of(text, size));
}

/* At its second run, and after each change of the schema: its program may be another one then. */
static void look_at(sqlite3 *db, struct ml_sqlite_statement *statement)
{
    unsigned times =
        1 + (unsigned)sqlite3_stmt_status(statement->handle, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (statement->looked_at == times)
        return;
    statement->looked_at = times;
    statement->is_short = ml_sqlite_has_short_program(db, statement->text, statement->size);
}

void ml_sqlite_statements_take_found(struct ml_sqlite_statements *s,
                                     struct ml_sqlite_statement *statement)
{
    ml_list_remove(&statement->link);
    s->taken++;
}

int ml_sqlite_statements_take(struct ml_sqlite_statements *s, sqlite3 *db, const char *text,
                              size_t size, struct ml_sqlite_statement **out)
{
    uint64_t hash = hash_of(text, size);
    *out = find(s, text, size, hash);
    if (*out != NULL) {
        look_at(db, *out);
        ml_sqlite_statements_take_found(s, *out);
        return SQLITE_OK;
    }
    struct ml_sqlite_statement *statement = new_statement(text, size, hash);
    if (statement == NULL)
        return SQLITE_NOMEM;
    ml_list_insert(&s->all, &statement->member);
    int result = prepare(db, statement);
    if (result == SQLITE_OK) {
        keep(s, statement);
        s->taken++;
        *out = statement;
    } else {
        free_statement(statement);
    }
    return result;
}

void ml_sqlite_statements_give(struct ml_sqlite_statements *s,
                               struct ml_sqlite_statement *statement)
{
    s->taken--;
    if (statement->is_kept)
        ml_list_insert(s->kept.next, &statement->link);
    else
        free_statement(statement);
}
