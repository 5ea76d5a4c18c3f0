#include "bindings/postgres/result.h"

#include "bindings/core/failure.h"

#include <errno.h>
#include <lauxlib.h>
#include <string.h>

/* ---- rows ---- */

/* Pushes the names of the columns. */
static int push_names(lua_State *L, const PGresult *result)
{
    int count = ml_libpq.PQnfields(result);
    luaL_checkstack(L, count + 10, "too many columns");
    for (int i = 0; i < count; i++)
        lua_pushstring(L, ml_libpq.PQfname(result, i));
    return count;
}

static void push_field(lua_State *L, const struct ml_pg_reading *how, const PGresult *result,
                       int row, int column)
{
    ml_pg_push_value(L, how, ml_libpq.PQftype(result, column),
                     ml_libpq.PQgetvalue(result, row, column),
                     (size_t)ml_libpq.PQgetlength(result, row, column));
}

/* Pushes a row; the names lie from index `names` on. */
static void push_row(lua_State *L, const struct ml_pg_reading *how, const PGresult *result, int row,
                     int names, int columns)
{
    lua_createtable(L, 0, columns);
    for (int i = 0; i < columns; i++) {
        bool is_null = ml_libpq.PQgetisnull(result, row, i);
        if (is_null && how->null == 0)
            continue;
        lua_pushvalue(L, names + i);
        if (is_null)
            lua_pushvalue(L, how->null);
        else
            push_field(L, how, result, row, i);
        lua_rawset(L, -3);
    }
}

static void push_first(lua_State *L, const struct ml_pg_reading *how, const PGresult *result)
{
    int names = lua_gettop(L) + 1;
    int columns = ml_libpq.PQntuples(result) > 0 ? push_names(L, result) : -1;
    if (columns >= 0)
        push_row(L, how, result, 0, names, columns);
    else
        lua_pushnil(L);
}

static void push_all(lua_State *L, const struct ml_pg_reading *how, const PGresult *result)
{
    int count = ml_libpq.PQntuples(result);
    lua_createtable(L, count, 0);
    int list = lua_gettop(L);
    int columns = push_names(L, result);
    for (int i = 0; i < count; i++) {
        push_row(L, how, result, i, list + 1, columns);
        lua_rawseti(L, list, i + 1);
    }
    lua_settop(L, list);
}

static void push_value(lua_State *L, const struct ml_pg_reading *how, const PGresult *result)
{
    bool is_there = ml_libpq.PQntuples(result) > 0 && ml_libpq.PQnfields(result) > 0;
    if (is_there && !ml_libpq.PQgetisnull(result, 0, 0))
        push_field(L, how, result, 0, 0);
    else if (is_there && how->null != 0)
        lua_pushvalue(L, how->null);
    else
        lua_pushnil(L);
}

static void push_count(lua_State *L, const PGresult *result)
{
    const char *text = ml_libpq.PQcmdTuples((PGresult *)result);
    if (*text == 0 || lua_stringtonumber(L, text) == 0)
        lua_pushinteger(L, 0);
}

void ml_pg_push_result(lua_State *L, const struct ml_pg_reading *how, const PGresult *result,
                       enum ml_pg_want want)
{
    switch (want) {
    case ML_PG_COUNT:
        push_count(L, result);
        break;
    case ML_PG_ROW:
        push_first(L, how, result);
        break;
    case ML_PG_ROWS:
        push_all(L, how, result);
        break;
    case ML_PG_VALUE:
        push_value(L, how, result);
        break;
    case ML_PG_TAG:
        lua_pushstring(L, ml_libpq.PQcmdStatus((PGresult *)result));
    }
}

/* ---- errors ---- */

bool ml_pg_has_failed(const PGresult *result)
{
    ExecStatusType status = ml_libpq.PQresultStatus(result);
    return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

static const struct detail {
    const char *name;
    int field;
} details[] = {
    {"severity", PG_DIAG_SEVERITY_NONLOCALIZED},
    {"detail", PG_DIAG_MESSAGE_DETAIL},
    {"hint", PG_DIAG_MESSAGE_HINT},
    {"where", PG_DIAG_CONTEXT},
    {"schema", PG_DIAG_SCHEMA_NAME},
    {"table", PG_DIAG_TABLE_NAME},
    {"column", PG_DIAG_COLUMN_NAME},
    {"type", PG_DIAG_DATATYPE_NAME},
    {"constraint", PG_DIAG_CONSTRAINT_NAME},
};

static void push_details(lua_State *L, const PGresult *result, bool is_struck)
{
    lua_createtable(L, 0, 8);
    for (size_t i = 0; i < sizeof details / sizeof *details; i++) {
        const char *text = ml_libpq.PQresultErrorField(result, details[i].field);
        if (text != NULL) {
            lua_pushstring(L, text);
            lua_setfield(L, -2, details[i].name);
        }
    }
    const char *position = ml_libpq.PQresultErrorField(result, PG_DIAG_STATEMENT_POSITION);
    if (position != NULL && lua_stringtonumber(L, position) != 0)
        lua_setfield(L, -2, "position");
    if (is_struck) {
        lua_pushboolean(L, 1);
        lua_setfield(L, -2, "is_struck");
    }
}

/* Without the line's end with which libpq ends its messages. */
static void push_trimmed(lua_State *L, const char *text)
{
    size_t length = strlen(text);
    while (length > 0 && text[length - 1] == '\n')
        length--;
    lua_pushlstring(L, text, length);
}

int ml_pg_push_error(lua_State *L, const PGresult *result, bool is_struck)
{
    const char *message = ml_libpq.PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *code = ml_libpq.PQresultErrorField(result, PG_DIAG_SQLSTATE);
    luaL_pushfail(L);
    if (message == NULL)
        message = ml_libpq.PQresultErrorMessage(result);
    push_trimmed(L, *message != 0 ? message : "no memory for the server's answer");
    lua_pushstring(L, code != NULL ? code : "08006");
    push_details(L, result, is_struck);
    return 4;
}

int ml_pg_push_failure(lua_State *L, const struct ml_pg *pg, int error)
{
    bool is_told = (error == -ECONNRESET || error == -ECONNREFUSED) && pg->conn != NULL;
    const char *message = is_told ? ml_libpq.PQerrorMessage(pg->conn) : "";
    if (error != -ECONNRESET && error != -ECONNREFUSED)
        return ml_push_failure(L, error);
    luaL_pushfail(L);
    push_trimmed(L, *message != 0 ? message : "the connection to the server is lost");
    lua_pushstring(L, "08006");
    return 3;
}
