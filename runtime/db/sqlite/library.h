/*
 * SQLite, loaded when a database is first opened, for moonlet alone. Its functions are called
 * through a table, under their own names, typed by its header.
 */
#ifndef ML_DB_SQLITE_LIBRARY_H
#define ML_DB_SQLITE_LIBRARY_H

#include <sqlite3.h>

#define ML_SQLITE_FUNCTIONS(X)                                                                     \
    X(sqlite3_backup_finish)                                                                       \
    X(sqlite3_backup_init)                                                                         \
    X(sqlite3_backup_step)                                                                         \
    X(sqlite3_bind_blob)                                                                           \
    X(sqlite3_bind_double)                                                                         \
    X(sqlite3_bind_int64)                                                                          \
    X(sqlite3_bind_null)                                                                           \
    X(sqlite3_bind_parameter_count)                                                                \
    X(sqlite3_bind_parameter_name)                                                                 \
    X(sqlite3_bind_text)                                                                           \
    X(sqlite3_changes)                                                                             \
    X(sqlite3_clear_bindings)                                                                      \
    X(sqlite3_close_v2)                                                                            \
    X(sqlite3_column_blob)                                                                         \
    X(sqlite3_column_bytes)                                                                        \
    X(sqlite3_column_count)                                                                        \
    X(sqlite3_column_decltype)                                                                     \
    X(sqlite3_column_double)                                                                       \
    X(sqlite3_column_int64)                                                                        \
    X(sqlite3_column_name)                                                                         \
    X(sqlite3_column_text)                                                                         \
    X(sqlite3_column_type)                                                                         \
    X(sqlite3_errmsg)                                                                              \
    X(sqlite3_errstr)                                                                              \
    X(sqlite3_extended_errcode)                                                                    \
    X(sqlite3_extended_result_codes)                                                               \
    X(sqlite3_file_control)                                                                        \
    X(sqlite3_finalize)                                                                            \
    X(sqlite3_get_autocommit)                                                                      \
    X(sqlite3_interrupt)                                                                           \
    X(sqlite3_last_insert_rowid)                                                                   \
    X(sqlite3_libversion)                                                                          \
    X(sqlite3_exec)                                                                                \
    X(sqlite3_next_stmt)                                                                           \
    X(sqlite3_open_v2)                                                                             \
    X(sqlite3_prepare_v3)                                                                          \
    X(sqlite3_progress_handler)                                                                    \
    X(sqlite3_reset)                                                                               \
    X(sqlite3_set_authorizer)                                                                      \
    X(sqlite3_step)                                                                                \
    X(sqlite3_stmt_readonly)                                                                       \
    X(sqlite3_stmt_status)                                                                         \
    X(sqlite3_threadsafe)                                                                          \
    X(sqlite3_total_changes)

struct ml_sqlite_library {
#define ML_SQLITE_MEMBER(name) __typeof__(name) *(name);
    ML_SQLITE_FUNCTIONS(ML_SQLITE_MEMBER)
#undef ML_SQLITE_MEMBER
};

/* Written once, by the first ml_sqlite_load(); then it is a constant. */
extern struct ml_sqlite_library ml_sqlite_library;

/* Loads SQLite; to be called before anything else here, from any thread. 0; -ELIBACC: there is no
 * SQLite, or one that is too old or was built for one thread. */
int ml_sqlite_load(void);

#ifndef ML_SQLITE_PLAIN /* keeps SQLite's own names, for the file that fills the table */
#define sqlite3_backup_finish ml_sqlite_library.sqlite3_backup_finish
#define sqlite3_backup_init ml_sqlite_library.sqlite3_backup_init
#define sqlite3_backup_step ml_sqlite_library.sqlite3_backup_step
#define sqlite3_bind_blob ml_sqlite_library.sqlite3_bind_blob
#define sqlite3_bind_double ml_sqlite_library.sqlite3_bind_double
#define sqlite3_bind_int64 ml_sqlite_library.sqlite3_bind_int64
#define sqlite3_bind_null ml_sqlite_library.sqlite3_bind_null
#define sqlite3_bind_parameter_count ml_sqlite_library.sqlite3_bind_parameter_count
#define sqlite3_bind_parameter_name ml_sqlite_library.sqlite3_bind_parameter_name
#define sqlite3_bind_text ml_sqlite_library.sqlite3_bind_text
#define sqlite3_changes ml_sqlite_library.sqlite3_changes
#define sqlite3_clear_bindings ml_sqlite_library.sqlite3_clear_bindings
#define sqlite3_close_v2 ml_sqlite_library.sqlite3_close_v2
#define sqlite3_column_blob ml_sqlite_library.sqlite3_column_blob
#define sqlite3_column_bytes ml_sqlite_library.sqlite3_column_bytes
#define sqlite3_column_count ml_sqlite_library.sqlite3_column_count
#define sqlite3_column_decltype ml_sqlite_library.sqlite3_column_decltype
#define sqlite3_column_double ml_sqlite_library.sqlite3_column_double
#define sqlite3_column_int64 ml_sqlite_library.sqlite3_column_int64
#define sqlite3_column_name ml_sqlite_library.sqlite3_column_name
#define sqlite3_column_text ml_sqlite_library.sqlite3_column_text
#define sqlite3_column_type ml_sqlite_library.sqlite3_column_type
#define sqlite3_errmsg ml_sqlite_library.sqlite3_errmsg
#define sqlite3_errstr ml_sqlite_library.sqlite3_errstr
#define sqlite3_extended_errcode ml_sqlite_library.sqlite3_extended_errcode
#define sqlite3_extended_result_codes ml_sqlite_library.sqlite3_extended_result_codes
#define sqlite3_file_control ml_sqlite_library.sqlite3_file_control
#define sqlite3_finalize ml_sqlite_library.sqlite3_finalize
#define sqlite3_get_autocommit ml_sqlite_library.sqlite3_get_autocommit
#define sqlite3_interrupt ml_sqlite_library.sqlite3_interrupt
#define sqlite3_last_insert_rowid ml_sqlite_library.sqlite3_last_insert_rowid
#define sqlite3_libversion ml_sqlite_library.sqlite3_libversion
#define sqlite3_exec ml_sqlite_library.sqlite3_exec
#define sqlite3_next_stmt ml_sqlite_library.sqlite3_next_stmt
#define sqlite3_open_v2 ml_sqlite_library.sqlite3_open_v2
#define sqlite3_prepare_v3 ml_sqlite_library.sqlite3_prepare_v3
#define sqlite3_progress_handler ml_sqlite_library.sqlite3_progress_handler
#define sqlite3_reset ml_sqlite_library.sqlite3_reset
#define sqlite3_set_authorizer ml_sqlite_library.sqlite3_set_authorizer
#define sqlite3_step ml_sqlite_library.sqlite3_step
#define sqlite3_stmt_readonly ml_sqlite_library.sqlite3_stmt_readonly
#define sqlite3_stmt_status ml_sqlite_library.sqlite3_stmt_status
#define sqlite3_threadsafe ml_sqlite_library.sqlite3_threadsafe
#define sqlite3_total_changes ml_sqlite_library.sqlite3_total_changes
#endif

#endif
