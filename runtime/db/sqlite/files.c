#include "db/sqlite/files.h"

#include "base/check.h"
#include "db/sqlite/library.h"
#include "hub/state/scope.h"

#include <stdlib.h>
#include <string.h>

static const struct ml_wait_kind disk_kind = {.text = "the disk of a database", .external = true};

/* A call of a file. Its bytes are its own: those of SQLite may lie in the task's stack. */
struct file_call {
    struct ml_job job;
    int (*make)(struct file_call *);
    const sqlite3_io_methods *own;
    sqlite3_file *file;
    sqlite3_int64 at;
    int size; /* of the bytes; for a sync its flags */
    int result;
    char bytes[];
};

static struct file_call *call_of(struct ml_job *job)
{
    return ml_container_of(job, struct file_call, job);
}

static void run(struct ml_job *job)
{
    struct file_call *call = call_of(job);
    call->result = call->make(call);
}

static void release(struct ml_job *job)
{
    free(call_of(job));
}

static int make_read(struct file_call *call)
{
    return call->own->xRead(call->file, call->bytes, call->size, call->at);
}

static int make_write(struct file_call *call)
{
    return call->own->xWrite(call->file, call->bytes, call->size, call->at);
}

static int make_sync(struct file_call *call)
{
    return call->own->xSync(call->file, call->size);
}

static int make_truncate(struct file_call *call)
{
    return call->own->xTruncate(call->file, call->at);
}

/* Has a worker make the call. The task cannot leave SQLite's code before its end: it waits behind a
 * shield. 0; otherwise the call is freed, and was not made. */
static int make_on_worker(struct ml_hub *hub, struct file_call *call)
{
    struct ml_scope *shield = ml_scope_open(hub, ML_SCOPE_SHIELD, ML_FOREVER);
    if (shield == NULL) {
        free(call);
        return -1;
    }
    call->job = (struct ml_job){.run = run, .release = release, .work = ML_WORK_DATABASE};
    int error = ml_offload(hub, &disk_kind, &call->job, ML_FOREVER);
    ml_scope_close(hub, shield);
    return error;
}

static struct ml_sqlite_file_methods *methods_of(sqlite3_file *file)
{
    return ml_container_of(file->pMethods, struct ml_sqlite_file_methods, methods);
}

static struct file_call *new_call(sqlite3_file *file, int (*make)(struct file_call *), int size,
                                  sqlite3_int64 at)
{
    size_t room = make == make_read || make == make_write ? (size_t)size : 0;
    struct file_call *call = malloc(sizeof *call + room);
    if (call != NULL) {
        *call = (struct file_call){
            .make = make, .own = methods_of(file)->own, .file = file, .at = at, .size = size};
    }
    return call;
}

/* Makes the call, and frees it. `bytes`: to be written, or where those go that were read. */
static int make(sqlite3_file *file, struct file_call *call, void *bytes)
{
    struct ml_sqlite_files *files = methods_of(file)->files;
    bool is_read = call != NULL && call->make == make_read;
    if (call == NULL)
        return SQLITE_IOERR_NOMEM;
    if (call->make == make_write)
        memcpy(call->bytes, bytes, (size_t)call->size);
    files->waits++;
    if (make_on_worker(files->hub, call) != 0)
        return SQLITE_IOERR_NOMEM;
    int result = call->result;
    if (is_read)
        memcpy(bytes, call->bytes, (size_t)call->size);
    free(call);
    return result;
}

/* ---- the methods ---- */

static bool is_here(sqlite3_file *file)
{
    return methods_of(file)->files->hub != NULL;
}

static int read_file(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    if (!is_here(file))
        return methods_of(file)->own->xRead(file, bytes, size, at);
    return make(file, new_call(file, make_read, size, at), bytes);
}

static int write_file(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    if (!is_here(file))
        return methods_of(file)->own->xWrite(file, bytes, size, at);
    return make(file, new_call(file, make_write, size, at), (void *)bytes);
}

static int sync_file(sqlite3_file *file, int flags)
{
    if (!is_here(file))
        return methods_of(file)->own->xSync(file, flags);
    return make(file, new_call(file, make_sync, flags, 0), NULL);
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
    if (!is_here(file))
        return methods_of(file)->own->xTruncate(file, size);
    return make(file, new_call(file, make_truncate, 0, size), NULL);
}

/* Mapped pages would wait for the disk where nobody sees it. */
static int fetch_page(sqlite3_file *file, sqlite3_int64 at, int size, void **page)
{
    *page = NULL;
    return is_here(file) ? SQLITE_OK : methods_of(file)->own->xFetch(file, at, size, page);
}

static void replace(struct ml_sqlite_file_methods *with, struct ml_sqlite_files *files,
                    sqlite3_file *file)
{
    with->own = file->pMethods;
    with->methods = *file->pMethods;
    with->files = files;
    with->methods.xRead = read_file;
    with->methods.xWrite = write_file;
    with->methods.xSync = sync_file;
    with->methods.xTruncate = truncate_file;
    with->methods.xFetch = fetch_page;
    file->pMethods = &with->methods;
}

static bool prepare_file(struct ml_sqlite_file_methods *with, struct ml_sqlite_files *files,
                         sqlite3 *db, int which)
{
    sqlite3_file *file = NULL;
    if (sqlite3_file_control(db, NULL, which, &file) != SQLITE_OK || file == NULL ||
        file->pMethods == NULL)
        return false;
    if (file->pMethods == &with->methods)
        return true;
    if (file->pMethods->iVersion < 3)
        return false;
    replace(with, files, file);
    return true;
}

bool ml_sqlite_files_prepare(struct ml_sqlite_files *files, sqlite3 *db)
{
    return prepare_file(&files->database, files, db, SQLITE_FCNTL_FILE_POINTER) &&
           prepare_file(&files->log, files, db, SQLITE_FCNTL_JOURNAL_POINTER);
}
