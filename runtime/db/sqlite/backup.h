/* Copies of a database while others write to it. */
#ifndef ML_DB_SQLITE_BACKUP_H
#define ML_DB_SQLITE_BACKUP_H

#include "db/sqlite/connection.h"

/* For ml_sqlite_run(): copies the database as it is now into the file call.text, which it replaces
 * once the copy is complete and on disk. SQLITE_OK; an error, SQLITE_INTERRUPT if the task gave up:
 * the file is as it was. */
int ml_sqlite_backup(struct ml_sqlite *c);

#endif
