#include "db/sqlite/short.h"

#include "db/sqlite/library.h"

#include <stdlib.h>
#include <string.h>

/* Longer texts are not worth a look. */
enum { LONGEST = 4096 };

/* Instructions that do little, whatever they are given; sorted. Missing are those that go on to a
 * next row, call functions, sort, count, or run programs of triggers. */
static const char *const known[] = {
    "Add",          "Affinity",  "And",        "BitAnd",      "BitNot",       "BitOr",
    "Blob",         "Close",     "CollSeq",    "Column",      "Copy",         "DecrJumpZero",
    "DeferredSeek", "Delete",    "Divide",     "Eq",          "FinishSeek",   "FkCounter",
    "FkIfZero",     "Found",     "Ge",         "Goto",        "Gt",           "Halt",
    "HaltIfNull",   "IdxDelete", "IdxGE",      "IdxGT",       "IdxInsert",    "IdxLE",
    "IdxLT",        "IdxRowid",  "If",         "IfNot",       "IfNotZero",    "IfPos",
    "Init",         "Insert",    "Int64",      "IntCopy",     "Integer",      "IsNull",
    "Le",           "Lt",        "MakeRecord", "Move",        "Multiply",     "MustBeInt",
    "Ne",           "NewRowid",  "NoConflict", "Noop",        "Not",          "NotExists",
    "NotFound",     "NotNull",   "Null",       "NullRow",     "OffsetLimit",  "Once",
    "OpenRead",     "OpenWrite", "Or",         "Real",        "RealAffinity", "Remainder",
    "ResultRow",    "Rowid",     "SCopy",      "SeekGE",      "SeekGT",       "SeekHit",
    "SeekLE",       "SeekLT",    "SeekRowid",  "ShiftLeft",   "ShiftRight",   "SoftNull",
    "String",       "String8",   "Subtract",   "Transaction", "TypeCheck",    "Variable",
    "ZeroOrNull"};

static int compare(const void *name, const void *entry)
{
    return strcmp(name, *(const char *const *)entry);
}

static bool is_known(const char *name)
{
    return bsearch(name, known, sizeof known / sizeof *known, sizeof *known, compare) != NULL;
}

/* A row of EXPLAIN: address, instruction, P1, P2. Only one jump goes back, to the first one. */
static bool is_short(sqlite3_stmt *program)
{
    const char *name = (const char *)sqlite3_column_text(program, 1);
    if (name == NULL || !is_known(name))
        return false;
    if (strcmp(name, "Transaction") == 0)
        return sqlite3_column_int64(program, 2) == 0;
    bool goes_back = sqlite3_column_int64(program, 3) < sqlite3_column_int64(program, 0);
    return strcmp(name, "Goto") != 0 || !goes_back || sqlite3_column_int64(program, 3) == 1;
}

static bool is_all_short(sqlite3_stmt *program)
{
    int result = sqlite3_step(program);
    bool is = result == SQLITE_ROW;
    while (is && result == SQLITE_ROW) {
        is = is_short(program);
        result = sqlite3_step(program);
    }
    return is && result == SQLITE_DONE;
}

bool ml_sqlite_has_short_program(sqlite3 *db, const char *text, size_t size)
{
    static const char explain[] = "EXPLAIN ";
    char question[sizeof explain + LONGEST];
    sqlite3_stmt *program = NULL;
    if (size > LONGEST)
        return false;
    memcpy(question, explain, sizeof explain - 1);
    memcpy(question + sizeof explain - 1, text, size);
    int length = (int)(sizeof explain - 1 + size);
    bool is = sqlite3_prepare_v3(db, question, length, 0, &program, NULL) == SQLITE_OK &&
              program != NULL && is_all_short(program);
    sqlite3_finalize(program);
    return is;
}
