#include "bindings/inspect/group_text.h"

#include "base/utf8.h"

#include <lauxlib.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* The most tasks of a group that a report names. */
enum { MOST_NAMES = 5 };

/* The most members of a deadlock that are told of. */
enum { MOST_MEMBERS = 100 };

/* ---- pieces of text ---- */

void ml_text_write(const struct ml_text_sink *sink, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length > 0)
        sink->write(sink->context, text,
                    length < (int)sizeof text ? (size_t)length : sizeof text - 1);
}

/* Bytes of the character at `text` that a terminal shows as it is; 0: the byte is shown by its
 * number. C1 controls, U+0080 to U+009F, are two bytes of UTF-8. */
static size_t shown_bytes(const char *text, size_t size)
{
    unsigned char first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    struct ml_utf8 check = {0};
    bool is_control = first < 0x20 || first == 0x7F ||
                      (first == 0xC2 && size > 1 && (unsigned char)text[1] < 0xA0);
    bool is_text = !is_control && length <= size && ml_utf8_check(&check, text, length) &&
                   ml_utf8_is_whole(&check);
    return is_text ? length : 0;
}

/* Text of a script's. */
static void write_shown(const struct ml_text_sink *sink, const char *text, size_t size)
{
    size_t begin = 0, at = 0;
    while (at < size) {
        size_t length = shown_bytes(text + at, size - at);
        if (length == 0) {
            sink->write(sink->context, text + begin, at - begin);
            ml_text_write(sink, "\\x%02x", (unsigned char)text[at]);
            begin = at + 1;
        }
        at += length > 0 ? length : 1;
    }
    sink->write(sink->context, text + begin, size - begin);
}

/* ---- fields of tables ---- */

/* Writes the field of the table at `table` between two texts, if it is there. */
static bool write_field(lua_State *L, int table, const char *name, const struct ml_text_sink *sink,
                        const char *before, const char *after)
{
    size_t size;
    bool is_there = lua_getfield(L, table, name) != LUA_TNIL;
    if (is_there) {
        const char *text = luaL_tolstring(L, -1, &size);
        ml_text_write(sink, "%s", before);
        write_shown(sink, text, size);
        ml_text_write(sink, "%s", after);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return is_there;
}

static lua_Integer integer_field(lua_State *L, int table, const char *name)
{
    lua_getfield(L, table, name);
    lua_Integer value = lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static bool has_field(lua_State *L, int table, const char *name)
{
    bool has = lua_getfield(L, table, name) != LUA_TNIL;
    lua_pop(L, 1);
    return has;
}

/* Writes a time, "2.5 s". */
static void write_seconds(lua_State *L, int table, const char *name,
                          const struct ml_text_sink *sink, const char *before, const char *after)
{
    if (lua_getfield(L, table, name) != LUA_TNIL)
        ml_text_write(sink, "%s%.1f s%s", before, lua_tonumber(L, -1), after);
    lua_pop(L, 1);
}

/* ---- calls ---- */

static void write_call_name(lua_State *L, int call, const struct ml_text_sink *sink)
{
    lua_getfield(L, call, "what");
    const char *what = lua_tostring(L, -1);
    if (write_field(L, call, "name", sink, " in function '", "'\n")) {
    } else if (strcmp(what, "main") == 0) {
        ml_text_write(sink, " in main chunk\n");
    } else if (what[0] == 'C') {
        ml_text_write(sink, " in ?\n");
    } else {
        write_field(L, call, "source", sink, " in function <", "");
        ml_text_write(sink, ":%d>\n", (int)integer_field(L, call, "defined"));
    }
    lua_pop(L, 1);
}

/* strand: that of the call before. Returns this one's. */
static lua_Integer write_call(lua_State *L, int call, lua_Integer strand,
                              const struct ml_text_sink *sink)
{
    if (has_field(L, call, "omitted")) {
        ml_text_write(sink, "\t...\t(%d calls more)\n", (int)integer_field(L, call, "omitted"));
        return 0;
    }
    lua_Integer own = integer_field(L, call, "strand");
    if (strand != 0 && own != strand)
        ml_text_write(sink, "resumed from\n");
    if (!write_field(L, call, "source", sink, "\t", ":"))
        ml_text_write(sink, "\t[C]:");
    if (has_field(L, call, "line"))
        ml_text_write(sink, "%d:", (int)integer_field(L, call, "line"));
    write_call_name(L, call, sink);
    return own;
}

static void write_stack(lua_State *L, int group, const struct ml_text_sink *sink)
{
    int top = lua_gettop(L);
    lua_Integer strand = 0;
    bool has_stack = lua_getfield(L, group, "stack") == LUA_TTABLE;
    for (int i = 1; has_stack && lua_rawgeti(L, top + 1, i) == LUA_TTABLE; i++) {
        strand = write_call(L, lua_gettop(L), strand, sink);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

/* ---- tasks ---- */

/* "task 'name' (#3)", or "task #3". */
static void write_task_name(lua_State *L, int task, const char *number,
                            const struct ml_text_sink *sink)
{
    bool has_name = write_field(L, task, "name", sink, "task '", "' (");
    ml_text_write(sink, "%s#%lld%s", has_name ? "" : "task ",
                  (long long)integer_field(L, task, number), has_name ? ")" : "");
}

/* Writes what the task waits for; "a mutex held by task" without its last word, which stands for
 * the task that has to act. Whether it was left out. */
static bool write_without_task(lua_State *L, int task, const struct ml_text_sink *sink)
{
    static const char end[] = " task";
    enum { LENGTH = sizeof end - 1 };
    size_t size;
    lua_getfield(L, task, "waits_for");
    const char *text = luaL_tolstring(L, -1, &size);
    bool is_task = size > LENGTH && strcmp(text + size - LENGTH, end) == 0;
    write_shown(sink, text, is_task ? size - LENGTH : size);
    lua_pop(L, 2);
    return is_task;
}

static void write_target(lua_State *L, int task, const struct ml_text_sink *sink)
{
    if (lua_getfield(L, task, "on") == LUA_TTABLE) {
        int on = lua_gettop(L);
        write_field(L, on, "descriptor", sink, ", descriptor ", "");
        write_field(L, on, "peer", sink, " of ", "");
        write_field(L, on, "process", sink, ", process ", "");
        if (has_field(L, on, "task")) {
            ml_text_write(sink, ", for ");
            write_task_name(L, on, "task", sink);
        }
    }
    lua_pop(L, 1);
}

static void write_locals(lua_State *L, int task, const struct ml_text_sink *sink)
{
    if (lua_getfield(L, task, "locals") == LUA_TTABLE)
        for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
            size_t size;
            const char *key = lua_tolstring(L, -2, &size);
            ml_text_write(sink, ", ");
            write_shown(sink, key, size);
            ml_text_write(sink, "=");
            const char *value = luaL_tolstring(L, -1, &size);
            write_shown(sink, value, size);
            lua_pop(L, 1);
        }
    lua_pop(L, 1);
}

static void write_task(lua_State *L, int task, const struct ml_text_sink *sink)
{
    ml_text_write(sink, "  ");
    write_task_name(L, task, "id", sink);
    write_seconds(L, task, "age", sink, ", ", " old");
    write_target(L, task, sink);
    write_seconds(L, task, "deadline", sink, ", ", " left");
    write_seconds(L, task, "cpu", sink, ", ", " of CPU");
    if (has_field(L, task, "cancelled"))
        ml_text_write(sink, ", cancelled");
    if (has_field(L, task, "daemon"))
        ml_text_write(sink, ", daemon");
    write_locals(L, task, sink);
    ml_text_write(sink, "\n");
}

/* ---- groups ---- */

/* What the tasks of the group wait for. Which task has to act is told for each: ", for task #3".
 * So the text of a kind that ends with "task" gets an article. */
static bool write_wait(lua_State *L, int group, lua_Integer count, const struct ml_text_sink *sink)
{
    if (!has_field(L, group, "waits_for"))
        return false;
    ml_text_write(sink, count == 1 ? " waits for " : " wait for ");
    if (write_without_task(L, group, sink))
        ml_text_write(sink, " a task");
    ml_text_write(sink, ":\n");
    return true;
}

void ml_group_text_write(lua_State *L, int group, const struct ml_text_sink *sink)
{
    luaL_checkstack(L, 12, NULL);
    int top = lua_gettop(L);
    lua_Integer count = integer_field(L, group, "count"), shown = 0;
    ml_text_write(sink, "\n%lld task%s", (long long)count, count == 1 ? "" : "s");
    if (!write_wait(L, group, count, sink))
        write_field(L, group, "state", sink, ", ", ":\n");
    lua_getfield(L, group, "tasks");
    for (; lua_rawgeti(L, top + 1, shown + 1) == LUA_TTABLE; shown++) {
        write_task(L, lua_gettop(L), sink);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    if (shown < count)
        ml_text_write(sink, "  and %lld more\n", (long long)(count - shown));
    write_stack(L, group, sink);
    write_field(L, group, "spawned", sink, "spawned at ", "\n");
}

static void write_names(lua_State *L, int group, const struct ml_text_sink *sink)
{
    int top = lua_gettop(L);
    lua_Integer count = integer_field(L, group, "count");
    lua_getfield(L, group, "tasks");
    for (int i = 1; i <= MOST_NAMES && lua_rawgeti(L, top + 1, i) == LUA_TTABLE; i++) {
        ml_text_write(sink, "%s", i > 1 ? ", " : "");
        write_task_name(L, lua_gettop(L), "id", sink);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
    if (count > MOST_NAMES)
        ml_text_write(sink, " and %lld more", (long long)(count - MOST_NAMES));
    ml_text_write(sink, count > 1 ? " wait for " : " waits for ");
}

/* The number of what the first task waits for. */
static void write_number(lua_State *L, int group, const struct ml_text_sink *sink)
{
    static const char *const names[] = {"task", "descriptor", "process"};
    lua_getfield(L, group, "tasks");
    lua_rawgeti(L, -1, 1);
    if (lua_getfield(L, -1, "on") == LUA_TTABLE)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            write_field(L, lua_gettop(L), names[i], sink, " #", "");
    lua_pop(L, 3);
}

void ml_group_report_write(lua_State *L, int group, const struct ml_text_sink *sink)
{
    luaL_checkstack(L, 12, NULL);
    write_names(L, group, sink);
    write_field(L, group, "waits_for", sink, "", "");
    write_number(L, group, sink);
    ml_text_write(sink, "\nstack traceback:\n");
    write_stack(L, group, sink);
    write_field(L, group, "spawned", sink, "spawned at ", "");
}

static void write_member(lua_State *L, int task, const struct ml_text_sink *sink)
{
    int top = lua_gettop(L);
    ml_text_write(sink, "  ");
    write_task_name(L, task, "id", sink);
    ml_text_write(sink, " waits for ");
    bool is_task = write_without_task(L, task, sink);
    if (is_task && lua_getfield(L, task, "on") == LUA_TTABLE) {
        ml_text_write(sink, " ");
        write_task_name(L, lua_gettop(L), "task", sink);
    }
    lua_settop(L, top);
    ml_text_write(sink, "\n");
}

void ml_deadlock_text_write(lua_State *L, int deadlock, const struct ml_text_sink *sink)
{
    luaL_checkstack(L, 12, NULL);
    int top = lua_gettop(L);
    bool has_deadline = has_field(L, deadlock, "deadline");
    ml_text_write(sink, has_deadline ? "\ntasks wait for each other" : "\ndeadlock");
    write_seconds(L, deadlock, "deadline", sink, ", for ", " at most");
    ml_text_write(sink, ":\n");
    lua_getfield(L, deadlock, "tasks");
    for (int i = 1; i <= MOST_MEMBERS && lua_rawgeti(L, top + 1, i) == LUA_TTABLE; i++) {
        write_member(L, top + 2, sink);
        lua_settop(L, top + 1);
    }
    lua_Integer count = (lua_Integer)lua_rawlen(L, top + 1);
    if (count > MOST_MEMBERS)
        ml_text_write(sink, "  and %lld more\n", (long long)(count - MOST_MEMBERS));
    lua_settop(L, top);
}
