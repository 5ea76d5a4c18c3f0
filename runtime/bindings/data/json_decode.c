/*
 * From a text to Lua values, in one pass. A container's values wait on the Lua stack until it ends,
 * so that its table is made in the right size. A container with many values gets its table before,
 * which is filled value by value. Nesting is kept in levels of our own, not on the C stack.
 */
#include "bindings/data/json_decode.h"

#include "bindings/data/json_number.h"
#include "bindings/data/json_text.h"
#include "bindings/data/json_values.h"

#include <lauxlib.h>
#include <string.h>

/* The most values that wait for one table; the slots of the Lua stack beyond which none waits, so
 * that only nesting fills it further; the levels that need no memory of Lua's. */
enum { MOST_WAITING = 64, MOST_SLOTS = 16384, FIRST_LEVELS = 32, STACK_STEP = 128 };

struct level {
    int slot;      /* of the table, or of the place reserved for it; the values follow */
    int waiting;   /* values, or keys and values, on the stack */
    size_t stored; /* in the table already */
    bool is_object, has_table;
};

/* The decoder's slots of the Lua stack. */
enum { ARRAY_TYPE, NULL_VALUE, LEVELS, VALUE, SLOTS };

struct decoder {
    lua_State *L;
    const char *text, *at, *end;
    struct ml_json_reading how;
    int base;  /* of the slots */
    int top;   /* of the Lua stack */
    int limit; /* there is room up to it */
    struct level *levels, *level;
    int depth, room; /* of levels */
    struct level first[FIRST_LEVELS];
};

/* ---- failures ---- */

/* Replaces everything on the stack with the message; returns false, for the caller to return. A
 * column counts characters. */
static bool push_problem(struct decoder *d, const char *at, const char *text)
{
    lua_Integer line = d->how.first_line, column = 1;
    for (const char *p = d->text; p < at; p++) {
        line += *p == '\n';
        column = *p == '\n' ? 1 : column + (((unsigned char)*p & 0xc0) != 0x80);
    }
    lua_pushfstring(d->L, "line %I, column %I: %s", line, column, text);
    lua_replace(d->L, d->base + 1);
    lua_settop(d->L, d->base + 1);
    return false;
}

static __attribute__((noinline)) bool fail_at(struct decoder *d, const char *at, const char *text)
{
    lua_settop(d->L, d->base + SLOTS); /* makes room */
    return push_problem(d, at, text);
}

/* Pushes the name, for a message, of what stands at `at`. */
static const char *push_found(struct decoder *d, const char *at)
{
    unsigned char byte = (unsigned char)*at;
    if (at >= d->end)
        return lua_pushliteral(d->L, "the end");
    if (d->end - at >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0)
        return lua_pushliteral(d->L, "a byte order mark");
    if (byte > ' ' && byte < 0x7f)
        return lua_pushfstring(d->L, "'%c'", (int)byte);
    size_t size = byte >= 0x80 ? ml_json_character(at, d->end) : 0;
    if (size == 0)
        return lua_pushfstring(d->L, "the byte %d", (int)byte);
    lua_pushliteral(d->L, "'");
    lua_pushlstring(d->L, at, size);
    lua_pushliteral(d->L, "'");
    lua_concat(d->L, 3);
    return lua_tostring(d->L, -1);
}

static __attribute__((noinline)) bool fail_expected(struct decoder *d, const char *expected)
{
    lua_settop(d->L, d->base + SLOTS);
    const char *found = push_found(d, d->at);
    return push_problem(d, d->at, lua_pushfstring(d->L, "expected %s, got %s", expected, found));
}

/* ---- the Lua stack ---- */

/* Makes room for one or two values. */
static inline void make_room(struct decoder *d)
{
    if (__builtin_expect(d->top + 4 > d->limit, 0)) {
        ml_json_check_stack(d->L, STACK_STEP + 8);
        d->limit = d->top + STACK_STEP;
    }
}

static void grow_levels(struct decoder *d)
{
    struct level *levels = lua_newuserdatauv(d->L, 2 * (size_t)d->room * sizeof *levels, 0);
    memcpy(levels, d->levels, (size_t)d->room * sizeof *levels);
    lua_replace(d->L, d->base + 1 + LEVELS);
    d->levels = levels;
    d->room *= 2;
}

static void store_waiting(struct decoder *d, struct level *level)
{
    lua_State *L = d->L;
    if (level->is_object) {
        /* From the first to the last: of two with the same name the last one counts. */
        for (int i = level->slot + 1; i < level->slot + level->waiting; i += 2) {
            lua_pushvalue(L, i);
            lua_pushvalue(L, i + 1);
            lua_rawset(L, level->slot);
        }
        lua_settop(L, level->slot);
    } else {
        for (int i = level->waiting; i >= 1; i--)
            lua_rawseti(L, level->slot, (lua_Integer)level->stored + i);
    }
    level->stored += (size_t)level->waiting;
    level->waiting = 0;
    d->top = level->slot;
}

/* Makes it in the size of the values that wait, or larger if more are to come. */
static void make_table(struct decoder *d, struct level *level, int more)
{
    if (level->is_object)
        lua_createtable(d->L, 0, level->waiting / 2 + more);
    else
        lua_createtable(d->L, level->waiting + more, 0);
    if (!level->is_object) {
        lua_pushvalue(d->L, d->base + 1 + ARRAY_TYPE);
        lua_setmetatable(d->L, -2);
    }
    lua_replace(d->L, level->slot);
    level->has_table = true;
}

/* Adds the value on top to the innermost level, with its key below it. */
static inline void add_value(struct decoder *d)
{
    struct level *level = d->level;
    level->waiting += level->is_object ? 2 : 1;
    if (level->waiting < MOST_WAITING && !level->has_table && d->top < MOST_SLOTS)
        return;
    if (!level->has_table)
        make_table(d, level, level->waiting);
    store_waiting(d, level);
}

static bool open_level(struct decoder *d, bool is_object)
{
    if (d->depth >= d->how.max_depth)
        return fail_at(d, d->at, "the value is nested too deep");
    if (d->depth == d->room)
        grow_levels(d);
    lua_pushnil(d->L);
    d->top++;
    d->level = &d->levels[d->depth++];
    *d->level = (struct level){.slot = d->top, .is_object = is_object};
    d->at++;
    return true;
}

/* The container that ends becomes a value of the level around it. */
static void close_level(struct decoder *d)
{
    if (!d->level->has_table)
        make_table(d, d->level, 0);
    store_waiting(d, d->level);
    d->at++;
    d->depth--;
    d->level = d->depth > 0 ? &d->levels[d->depth - 1] : NULL;
}

/* ---- strings ---- */

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Reads the four hexadecimal digits at `at`; -1: there are not. */
static int read_hex(const char *at, const char *end)
{
    int value = 0;
    for (int i = 0; i < 4 && value >= 0; i++) {
        int digit = at + i < end ? hex_value(at[i]) : -1;
        value = digit < 0 ? -1 : value << 4 | digit;
    }
    return value;
}

static char *put_character(char *out, unsigned code)
{
    if (code < 0x80) {
        *out++ = (char)code;
    } else if (code < 0x800) {
        *out++ = (char)(0xc0 | code >> 6);
        *out++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    } else {
        *out++ = (char)(0xf0 | code >> 18);
        *out++ = (char)(0x80 | (code >> 12 & 0x3f));
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        *out++ = (char)(0x80 | (code & 0x3f));
    }
    return out;
}

/* Reads "\uXXXX", perhaps with its other half. Returns the problem, or NULL. */
static const char *read_unicode(const char **at, const char *end, char **out)
{
    int code = read_hex(*at + 2, end), other = -1;
    if (code < 0)
        return "expected four hexadecimal digits after \\u";
    *at += 6;
    if (code >= 0xd800 && code <= 0xdbff) {
        if (end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u')
            other = read_hex(*at + 2, end);
        if (other < 0xdc00 || other > 0xdfff)
            return "half of a surrogate pair without the other";
        *at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (other - 0xdc00);
    } else if (code >= 0xdc00 && code <= 0xdfff) {
        return "half of a surrogate pair without the other";
    }
    *out = put_character(*out, (unsigned)code);
    return NULL;
}

static const char *read_escape(const char **at, const char *end, char **out)
{
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    char name = *at + 1 < end ? (*at)[1] : '\0';
    if (name == 'u')
        return read_unicode(at, end, out);
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    if (found == NULL)
        return "expected one of \" \\ / b f n r t u after the backslash";
    *(*out)++ = values[found - names];
    *at += 2;
    return NULL;
}

/* The closing quotation mark of the string whose first byte is at d->at; NULL: failed. `escapes`:
 * how many there are. */
static const char *find_end(struct decoder *d, size_t *escapes)
{
    const char *p = d->at;
    for (;;) {
        p = ml_json_plain(p, d->end);
        if (p == d->end) {
            fail_at(d, p, "expected '\"' at the end of a string, got the end");
            return NULL;
        }
        if (*p == '"')
            return p;
        if (*p == '\\') {
            p += p + 1 < d->end ? 2 : 1;
            ++*escapes;
        } else if ((unsigned char)*p < ' ') {
            fail_at(d, p, "a control character in a string must be escaped");
            return NULL;
        } else {
            size_t size = ml_json_character(p, d->end);
            if (size == 0) {
                fail_at(d, p, "the text is not UTF-8");
                return NULL;
            }
            p += size;
        }
    }
}

/* Pushes the string from d->at to `stop`, which has escapes. */
static bool push_escaped(struct decoder *d, const char *stop)
{
    luaL_Buffer b;
    const char *problem = NULL, *p = d->at;
    char *start = luaL_buffinitsize(d->L, &b, (size_t)(stop - p)), *out = start;
    while (p < stop && problem == NULL) {
        const char *next = memchr(p, '\\', (size_t)(stop - p));
        size_t size = (size_t)((next != NULL ? next : stop) - p);
        memcpy(out, p, size);
        out += size;
        p += size;
        if (next != NULL)
            problem = read_escape(&p, stop, &out);
    }
    if (problem != NULL)
        return fail_at(d, p, problem);
    luaL_pushresultsize(&b, (size_t)(out - start));
    return true;
}

/* Reads a string; d->at is at its opening quotation mark. */
static bool push_string(struct decoder *d)
{
    size_t escapes = 0;
    d->at++;
    const char *stop = find_end(d, &escapes);
    if (stop == NULL)
        return false;
    if (escapes == 0)
        lua_pushlstring(d->L, d->at, (size_t)(stop - d->at));
    else if (!push_escaped(d, stop))
        return false;
    d->at = stop + 1;
    d->top++;
    return true;
}

/* ---- values ---- */

static inline void skip_space(struct decoder *d)
{
    const char *p = d->at;
    while (*p == ' ' || *p == '\n' || *p == '\r' || *p == '\t')
        p++;
    d->at = p; /* the 0 behind the text belongs to no number */
}

static bool push_number(struct decoder *d)
{
    struct ml_json_number number = ml_json_read_number(d->at, d->end);
    if (number.problem != NULL)
        return fail_at(d, number.end, number.problem);
    if (number.is_integer)
        lua_pushinteger(d->L, number.integer);
    else
        lua_pushnumber(d->L, number.number);
    d->at = number.end;
    d->top++;
    return true;
}

/* Whether the word is there; if so, moves behind it. */
static bool take_word(struct decoder *d, const char *word, size_t size)
{
    if ((size_t)(d->end - d->at) < size || memcmp(d->at, word, size) != 0)
        return fail_expected(d, "a value");
    d->at += size;
    d->top++;
    return true;
}

static bool push_null(struct decoder *d)
{
    if (!take_word(d, "null", 4))
        return false;
    if (d->how.drops_nulls && d->level != NULL && d->level->is_object)
        lua_pushnil(d->L);
    else
        lua_pushvalue(d->L, d->base + 1 + NULL_VALUE);
    return true;
}

static bool push_boolean(struct decoder *d, bool value)
{
    if (!(value ? take_word(d, "true", 4) : take_word(d, "false", 5)))
        return false;
    lua_pushboolean(d->L, value);
    return true;
}

static bool push_scalar(struct decoder *d)
{
    switch (*d->at) {
    case '"':
        return push_string(d);
    case 't':
        return push_boolean(d, true);
    case 'f':
        return push_boolean(d, false);
    case 'n':
        return push_null(d);
    case '-':
    case '0' ... '9':
        return push_number(d);
    default:
        return fail_expected(d, "a value");
    }
}

/* Pushes a key, and moves behind its colon. */
static bool push_key(struct decoder *d, const char *expected)
{
    if (*d->at != '"')
        return fail_expected(d, expected);
    make_room(d);
    if (!push_string(d))
        return false;
    skip_space(d);
    if (*d->at != ':')
        return fail_expected(d, "':'");
    d->at++;
    skip_space(d);
    return true;
}

enum step { FAILED, NEXT_VALUE, HAS_VALUE };

/* Begins a container at its first byte. */
static enum step begin_container(struct decoder *d)
{
    bool is_object = *d->at == '{';
    if (!open_level(d, is_object))
        return FAILED;
    skip_space(d);
    if (*d->at == (is_object ? '}' : ']')) {
        close_level(d);
        return HAS_VALUE;
    }
    if (is_object && !push_key(d, "a string as key, or '}'"))
        return FAILED;
    return NEXT_VALUE;
}

/* Goes on after a value inside a container. */
static enum step go_on(struct decoder *d)
{
    bool is_object = d->level->is_object;
    add_value(d);
    skip_space(d);
    if (*d->at == ',') {
        d->at++;
        skip_space(d);
        return is_object && !push_key(d, "a string as key") ? FAILED : NEXT_VALUE;
    }
    if (*d->at == (is_object ? '}' : ']')) {
        close_level(d);
        return HAS_VALUE;
    }
    fail_expected(d, is_object ? "',' or '}'" : "',' or ']'");
    return FAILED;
}

static enum step take_value(struct decoder *d)
{
    make_room(d);
    if (*d->at == '{' || *d->at == '[')
        return begin_container(d);
    return push_scalar(d) ? HAS_VALUE : FAILED;
}

/* Pushes the value, or the message. */
static bool decode(struct decoder *d)
{
    enum step step = NEXT_VALUE;
    skip_space(d);
    while (step == NEXT_VALUE || (step == HAS_VALUE && d->depth > 0))
        step = step == NEXT_VALUE ? take_value(d) : go_on(d);
    if (step == FAILED)
        return false;
    skip_space(d);
    return d->at == d->end || fail_expected(d, "the end");
}

int ml_json_decode(lua_State *L, const char *text, size_t size, struct ml_json_reading how)
{
    struct decoder d;
    d.L = L;
    d.text = d.at = text;
    d.end = text + size;
    d.how = how;
    d.base = lua_gettop(L);
    d.levels = d.first;
    d.level = NULL;
    d.depth = 0;
    d.room = FIRST_LEVELS;
    luaL_checkstack(L, SLOTS + LUA_MINSTACK, NULL);
    ml_json_push_array_type(L);
    ml_json_push_null(L);
    lua_pushnil(L);
    d.top = d.base + VALUE;
    d.limit = d.top + LUA_MINSTACK - 8;
    if (decode(&d))
        return 1;
    luaL_pushfail(L);
    lua_insert(L, -2);
    lua_pushliteral(L, "EJSON");
    return 3;
}
