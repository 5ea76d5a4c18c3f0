#include "db/sqlite/backup.h"

#include "db/sqlite/library.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Pages that are copied between two looks at whether the task has given up. */
enum { STEP_PAGES = 256 };

/* Keeps to one state of the database: a copy that comes upon a change would begin anew, for ever if
 * somebody always writes. */
static int begin_reading(sqlite3 *db)
{
    int result = sqlite3_exec(db, "BEGIN", NULL, NULL, NULL);
    return result == SQLITE_OK ? sqlite3_exec(db, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL)
                               : result;
}

static int copy_pages(struct ml_sqlite *c, sqlite3 *to)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", c->db, "main");
    if (backup == NULL)
        return sqlite3_extended_errcode(to);
    int result = SQLITE_OK;
    while (result == SQLITE_OK)
        result = atomic_load(&c->is_given_up) ? SQLITE_INTERRUPT
                                              : sqlite3_backup_step(backup, STEP_PAGES);
    int last = sqlite3_backup_finish(backup);
    if (result == SQLITE_DONE)
        result = SQLITE_OK;
    return result == SQLITE_OK ? last : result;
}

static int copy_into(struct ml_sqlite *c, const char *path)
{
    sqlite3 *to = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int result = sqlite3_open_v2(path, &to, flags, NULL);
    if (result == SQLITE_OK)
        result = copy_pages(c, to);
    ml_sqlite_note(c, result);
    sqlite3_close_v2(to);
    return result;
}

/* The name of the copy while it is not complete. NULL: no memory. */
static char *partial_name(const char *path)
{
    static const char ending[] = ".partial";
    char *name = malloc(strlen(path) + sizeof ending);
    if (name != NULL)
        strcat(strcpy(name, path), ending);
    return name;
}

int ml_sqlite_backup(struct ml_sqlite *c)
{
    const char *path = ml_buffer_data(&c->call.text);
    char *partial = partial_name(path);
    if (partial == NULL)
        return SQLITE_NOMEM;
    remove(partial);
    int result = begin_reading(c->db);
    if (result == SQLITE_OK)
        result = copy_into(c, partial);
    if (sqlite3_get_autocommit(c->db) == 0)
        sqlite3_exec(c->db, "COMMIT", NULL, NULL, NULL);
    if (result == SQLITE_OK && rename(partial, path) != 0)
        result = SQLITE_CANTOPEN;
    if (result != SQLITE_OK)
        remove(partial);
    free(partial);
    return result;
}
