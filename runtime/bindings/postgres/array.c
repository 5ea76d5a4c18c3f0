#include "bindings/postgres/array.h"

#include <lauxlib.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* PostgreSQL has arrays of 6 dimensions at most. */
enum { MOST_DIMENSIONS = 6 };

struct pair {
    Oid array, element;
};

/* pg_type.dat of PostgreSQL, sorted by the array's number. */
static const struct pair pairs[] = {
    {199, 114},   {629, 628},   {651, 650},   {719, 718},   {775, 774},   {791, 790},
    {1000, 16},   {1001, 17},   {1002, 18},   {1003, 19},   {1005, 21},   {1007, 23},
    {1009, 25},   {1014, 1042}, {1015, 1043}, {1016, 20},   {1017, 600},  {1021, 700},
    {1022, 701},  {1028, 26},   {1040, 829},  {1041, 869},  {1115, 1114}, {1182, 1082},
    {1183, 1083}, {1185, 1184}, {1187, 1186}, {1231, 1700}, {1270, 1266}, {1561, 1560},
    {1563, 1562}, {2211, 2206}, {2951, 2950}, {3643, 3614}, {3645, 3615}, {3807, 3802},
    {3905, 3904}, {3907, 3906}, {3909, 3908}, {3911, 3910}, {3913, 3912}, {3927, 3926},
    {4073, 4072}};

static int compare(const void *a, const void *b)
{
    Oid x = ((const struct pair *)a)->array, y = ((const struct pair *)b)->array;
    return (x > y) - (x < y);
}

Oid ml_pg_element_type(Oid type)
{
    struct pair key = {type, 0};
    if (type < pairs[0].array || type > pairs[sizeof pairs / sizeof *pairs - 1].array)
        return 0;
    const struct pair *found =
        bsearch(&key, pairs, sizeof pairs / sizeof *pairs, sizeof *pairs, compare);
    return found != NULL ? found->element : 0;
}

struct reader {
    lua_State *L;
    const struct ml_pg_reading *how;
    ml_pg_push *push;
    Oid element;
    const char *at;
    char *scratch; /* room for any element */
};

/* Reads an element into the scratch. Returns its length. */
static size_t read_element(struct reader *r, bool *is_quoted)
{
    size_t length = 0;
    *is_quoted = *r->at == '"';
    r->at += *is_quoted;
    while (*r->at != 0 && (*is_quoted ? *r->at != '"' : *r->at != ',' && *r->at != '}')) {
        r->at += *r->at == '\\' && r->at[1] != 0;
        r->scratch[length++] = *r->at++;
    }
    r->at += *is_quoted && *r->at == '"';
    r->scratch[length] = 0;
    return length;
}

static bool push_array(struct reader *r, int depth);

/* Pushes the next value. False: the text is no array. */
static bool push_item(struct reader *r, int depth)
{
    if (*r->at == '{')
        return depth < MOST_DIMENSIONS && push_array(r, depth + 1);
    bool is_quoted;
    size_t length = read_element(r, &is_quoted);
    if (!is_quoted && strcasecmp(r->scratch, "NULL") == 0 && r->how->element_null != 0)
        lua_pushvalue(r->L, r->how->element_null);
    else
        r->push(r->L, r->how, r->element, r->scratch, length);
    return true;
}

/* Pushes the table of the text at `{`. */
static bool push_array(struct reader *r, int depth)
{
    lua_Integer count = 0;
    bool is_good = *r->at == '{';
    lua_newtable(r->L);
    r->at += is_good;
    while (is_good && *r->at != '}') {
        is_good = *r->at != 0 && push_item(r, depth);
        if (!is_good)
            break;
        lua_rawseti(r->L, -2, ++count);
        r->at += *r->at == ',';
    }
    r->at += is_good;
    return is_good;
}

void ml_pg_push_array(lua_State *L, const struct ml_pg_reading *how, ml_pg_push *push, Oid element,
                      const char *text, size_t size)
{
    luaL_checkstack(L, 4 * MOST_DIMENSIONS, NULL);
    int top = lua_gettop(L);
    struct reader r = {.L = L, .how = how, .push = push, .element = element, .at = text};
    r.scratch = lua_newuserdatauv(L, size + 1, 0);
    const char *bounds = text[0] == '[' ? strchr(text, '=') : NULL; /* [0:2]={1,2,3} */
    r.at = bounds != NULL ? bounds + 1 : text;
    if (push_array(&r, 1)) {
        lua_replace(L, top + 1);
        lua_settop(L, top + 1);
        return;
    }
    lua_settop(L, top);
    lua_pushlstring(L, text, size);
}
