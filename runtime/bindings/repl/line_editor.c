/***
Edits lines on the terminal, for the interactive mode: libedit, called in a task. Only its reading
of a key waits, in edited_line.c. While it does, output of other tasks takes the line away
(interpose/prompt.h), and it is shown again. Internal.

@module moonlet.repl.editor
*/
#include "bindings/repl/line_editor.h"

#include "bindings/core/blocking.h"
#include "bindings/core/object.h"
#include "bindings/repl/edited_line.h"
#include "bindings/repl/terminal.h"
#include "hub/state/ready.h"
#include "hub/switch/switch.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char editor_type[] = "moonlet.repl.editor";

enum { COMPLETER = 1, HISTORY_SIZE = 1000 };

/* ---- completion ---- */

/* The text before the cursor, as bytes; false: it is too long, or has characters without bytes. */
static bool text_before(const struct ml_editor *e, char *text, size_t room)
{
    const struct ml_el_line *line = e->lib.el_wline(e->el);
    const wchar_t *from = line->start;
    mbstate_t state = {0};
    size_t size = wcsnrtombs(text, &from, (size_t)(line->cursor - line->start), room - 1, &state);
    if (size == (size_t)-1 || size == room - 1)
        return false;
    text[size] = '\0';
    return true;
}

/* Stack: the completer, the text -> text to insert or nil, text to show or nil. False with nothing
 * pushed. */
static bool ask_completer(struct ml_editor *e, const char *text)
{
    lua_State *L = e->L;
    if (!lua_checkstack(L, 4))
        return false;
    lua_getiuservalue(L, 1, COMPLETER);
    lua_pushstring(L, text);
    lua_pushinteger(L, (lua_Integer)e->columns);
    ml_editor_leave_locale(e);
    bool is_done = lua_pcall(L, 2, 2, 0) == LUA_OK;
    ml_editor_enter_locale(e);
    if (!is_done)
        lua_pop(L, 1);
    return is_done;
}

/* Bound to the tabulator. */
static unsigned char complete(struct ml_el *el, wint_t key)
{
    (void)key;
    enum { TEXT_ROOM = 4096 };
    char text[TEXT_ROOM];
    struct ml_editor *e = ml_editor_current();
    if (!text_before(e, text, sizeof text) || !ask_completer(e, text))
        return ML_CC_ERROR;
    const char *insert = lua_tostring(e->L, -2), *list = lua_tostring(e->L, -1);
    unsigned char result = insert != NULL ? ML_CC_REFRESH : ML_CC_ERROR;
    if (insert != NULL)
        e->lib.el_insertstr(el, insert);
    if (list != NULL) {
        ml_editor_leave_line(e, "\n");
        ml_editor_say(e, list);
        e->lib.el_set(el, ML_EL_REFRESH);
        result = ML_CC_NORM;
    }
    lua_pop(e->L, 2);
    return result;
}

/* ---- opening and closing ---- */

static char *prompt_of(struct ml_el *el)
{
    (void)el;
    return ml_editor_current()->prompt;
}

/* The environment's locale; if that has only ASCII, one that has all characters. */
static locale_t open_locale(void)
{
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    if (locale != (locale_t)0 && strcmp(nl_langinfo_l(CODESET, locale), "ANSI_X3.4-1968") != 0)
        return locale;
    locale_t other = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
    if (other == (locale_t)0)
        return locale;
    if (locale != (locale_t)0)
        freelocale(locale);
    return other;
}

/* Whether input and output are the same terminal. */
static bool is_one_terminal(struct ml_editor *e)
{
    struct stat in, out;
    bool is = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO) && fstat(STDIN_FILENO, &in) == 0 &&
              fstat(STDOUT_FILENO, &out) == 0 && in.st_rdev == out.st_rdev;
    if (is)
        e->line.terminal = in.st_rdev;
    return is;
}

static bool open_files(struct ml_editor *e)
{
    int keys = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (keys >= 0)
        ml_fd_open(&e->keys, keys);
    if (out >= 0)
        e->out = fdopen(out, "w");
    if (out >= 0 && e->out == NULL)
        close(out);
    e->has_terminal = keys >= 0 && e->out != NULL && ml_terminal_open(keys, e->keys.hub);
    return e->has_terminal;
}

/* Binds keys that terminals send and libedit does not bind; the user's own in ~/.editrc come after
 * them. */
static void bind_keys(struct ml_editor *e)
{
    static const char *const keys[][2] = {
        {"^I", "moonlet-complete"},        {"^R", "em-inc-search-prev"},
        {"\\e[H", "ed-move-to-beg"},       {"\\e[F", "ed-move-to-end"},
        {"\\e[1~", "ed-move-to-beg"},      {"\\e[4~", "ed-move-to-end"},
        {"\\e[3~", "ed-delete-next-char"}, {"\\e[1;5C", "em-next-word"},
        {"\\e[1;5D", "ed-prev-word"},      {"^W", "ed-delete-prev-word"}};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        e->lib.el_set(e->el, ML_EL_BIND, keys[i][0], keys[i][1], NULL);
}

static bool open_el(struct ml_editor *e)
{
    struct ml_el_event event;
    e->history = e->lib.history_init();
    e->el = e->lib.el_init("moonlet", stdin, e->out, e->out);
    if (e->el == NULL || e->history == NULL)
        return false;
    e->lib.history(e->history, &event, ML_H_SETSIZE, HISTORY_SIZE);
    e->lib.history(e->history, &event, ML_H_SETUNIQUE, 1);
    e->lib.el_set(e->el, ML_EL_PROMPT_ESC, prompt_of, ML_TERMINAL_MARK);
    e->lib.el_set(e->el, ML_EL_EDITOR, "emacs");
    e->lib.el_set(e->el, ML_EL_HIST, e->lib.history, e->history);
    e->lib.el_set(e->el, ML_EL_GETCFN, ml_editor_read_key);
    /* The wide strings are kept as they are; of narrow ones libedit would leak copies. */
    e->lib.el_wset(e->el, ML_EL_ADDFN, L"moonlet-complete", L"Complete a name", complete);
    bind_keys(e);
    e->lib.el_source(e->el, NULL);
    return true;
}

static void close_editor(struct ml_editor *e)
{
    if (e->el != NULL)
        e->lib.el_end(e->el);
    if (e->history != NULL)
        e->lib.history_end(e->history);
    if (e->libc_calls != NULL)
        e->libc_calls->prompt = NULL;
    if (e->has_terminal)
        ml_terminal_close();
    if (e->out != NULL)
        fclose(e->out);
    if (e->keys.hub != NULL)
        ml_fd_close(&e->keys);
    if (e->locale != (locale_t)0)
        freelocale(e->locale);
    *e = (struct ml_editor){.el = NULL};
}

static bool open_editor(struct ml_editor *e, struct ml_lua *lua)
{
    ml_fd_init(&e->keys, &lua->hub);
    if (lua->libc_calls->prompt != NULL || !is_one_terminal(e) || ml_editline_load(&e->lib) != 0)
        return false;
    e->locale = open_locale();
    if (e->locale == (locale_t)0 || !open_files(e))
        return false;
    e->libc_calls = lua->libc_calls;
    e->libc_calls->prompt = &e->line;
    e->line.editor = lua->hub.current;
    e->columns = ml_terminal_columns();
    ml_editor_enter_locale(e);
    bool is_open = open_el(e);
    ml_editor_leave_locale(e);
    return is_open;
}

/* ---- for Lua ---- */

/***
Opens the editor of the terminal that is both standard input and output.
@function open
@tparam function complete called with the text before the cursor and the terminal's width in
columns; returns text to insert, and text to show below the line, or nil
@treturn editor for the calling task alone; nil: there is no such terminal or no libedit, or it is
open already
*/
static int editor_open(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TFUNCTION);
    struct ml_lua *lua = ml_lua_of(L);
    if (lua->hub.current == NULL)
        ml_raise_no_task(L);
    struct ml_editor *e = ml_push_object(L, editor_type, sizeof *e, COMPLETER);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, COMPLETER);
    if (open_editor(e, lua))
        return 1;
    close_editor(e);
    luaL_pushfail(L);
    return 1;
}

static struct ml_editor *check_editor(lua_State *L)
{
    struct ml_editor *e = ml_check_object(L, 1, editor_type);
    luaL_argcheck(L, e->el != NULL, 1, "the editor is closed");
    return e;
}

/* Reads a line, without the newline; in the editor's locale. */
static void edit(struct ml_editor *e, luaL_Buffer *line, bool *is_line)
{
    int size = 0;
    if (e->line.is_unfinished)
        ml_editor_say(e, "\n");
    e->lib.el_set(e->el, ML_EL_PREP_TERM,
                  1); /* keys typed after the prompt appears are for the editor */
    const char *text = e->lib.el_gets(e->el, &size);
    *is_line = text != NULL && size > 0 && e->error == 0;
    if (*is_line)
        luaL_addlstring(line, text, (size_t)size - (text[size - 1] == '\n'));
    else if (e->error == -ECANCELED)
        ml_editor_leave_line(e, "^C\n");
}

/* Pasted lines are read without any wait: lets other tasks run. Raises where the task may not wait.
 */
static void give_others_a_turn(lua_State *L)
{
    struct ml_lua *lua = ml_blocking_begin(L);
    ml_blocking_end(L, ml_yield(&lua->hub));
}

/***
Lets a person edit a line, and returns it.
@function editor:read
@string prompt escape sequences in it stand between bytes 1
@treturn string without its newline; nil at the end of input
*/
static int editor_read(lua_State *L)
{
    struct ml_editor *e = check_editor(L);
    const char *prompt = luaL_checkstring(L, 2);
    luaL_Buffer line;
    bool is_line;
    give_others_a_turn(L);
    luaL_buffinit(L, &line);
    snprintf(e->prompt, sizeof e->prompt, "%s", prompt);
    e->L = L;
    e->error = 0;
    e->columns = ml_terminal_columns();
    ml_terminal_note_editing(true);
    ml_editor_enter_locale(e);
    edit(e, &line, &is_line);
    ml_editor_leave_locale(e);
    ml_terminal_note_editing(false);
    e->line.is_shown = e->line.was_taken = e->line.is_unfinished = false;
    if (e->error == -ECANCELED || e->error == -ENOMEM || e->error == -ECHILD)
        ml_blocking_end(L, e->error);
    if (is_line)
        luaL_pushresult(&line);
    else
        luaL_pushfail(L);
    return 1;
}

/***
Adds a line to the history.
@function editor:add
@string line
*/
static int editor_add(lua_State *L)
{
    struct ml_editor *e = check_editor(L);
    struct ml_el_event event;
    const char *line = luaL_checkstring(L, 2);
    ml_editor_enter_locale(e);
    e->lib.history(e->history, &event, ML_H_ENTER, line);
    ml_editor_leave_locale(e);
    return 0;
}

/***
Closes it; the terminal is as it was before.
@function editor:close
*/
static int editor_close(lua_State *L)
{
    close_editor(ml_check_object(L, 1, editor_type));
    return 0;
}

/***
The width of the terminal in columns; 80 without one.
@function columns
@treturn integer
*/
static int editor_columns(lua_State *L)
{
    lua_pushinteger(L, (lua_Integer)ml_terminal_columns());
    return 1;
}

void ml_line_editor_notice(struct ml_lua *lua)
{
    struct ml_prompt *prompt = lua->libc_calls != NULL ? lua->libc_calls->prompt : NULL;
    if (prompt != NULL && prompt->is_shown)
        ml_task_wake(prompt->editor, ML_WAKE_EVENT);
}

void ml_line_editor_restore(void)
{
    ml_terminal_restore();
}

int ml_open_editor(lua_State *L)
{
    static const luaL_Reg methods[] = {
        {"read", editor_read}, {"add", editor_add}, {"close", editor_close}, {NULL, NULL}};
    static const luaL_Reg metamethods[] = {
        {"__gc", editor_close}, {"__close", editor_close}, {NULL, NULL}};
    static const luaL_Reg functions[] = {
        {"open", editor_open}, {"columns", editor_columns}, {NULL, NULL}};
    ml_open_object_type(L, editor_type, methods, metamethods);
    luaL_newlib(L, functions);
    return 1;
}
