#include "bindings/repl/edited_line.h"

#include "bindings/core/blocking.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static const struct ml_wait_kind key_kind = {.text = "a line at the prompt", .external = true};

enum { NO_CHARACTER = 0xFFFD };

struct ml_editor *ml_editor_current(void)
{
    struct ml_hub *hub = ml_container_of(ml_bank_current, struct ml_hub, bank);
    struct ml_lua *lua = hub->owner;
    return ml_container_of(lua->libc_calls->prompt, struct ml_editor, line);
}

void ml_editor_enter_locale(struct ml_editor *e)
{
    e->outer_locale = uselocale(e->locale);
}

void ml_editor_leave_locale(struct ml_editor *e)
{
    uselocale(e->outer_locale);
}

/* ---- the line on the screen ---- */

static struct ml_place_on_screen end_of_prompt(const struct ml_editor *e)
{
    struct ml_place_on_screen place = {0, 0};
    wchar_t wide[ML_EDITOR_PROMPT];
    size_t length = mbstowcs(wide, e->prompt, ML_EDITOR_PROMPT);
    if (length != (size_t)-1)
        ml_terminal_advance(&place, wide, length, e->columns);
    return place;
}

/* The position of the cursor or, with `to_end`, of the end of the line; in the editor's locale. */
static struct ml_place_on_screen place_in_line(const struct ml_editor *e, bool to_end)
{
    const struct ml_el_line *line = e->lib.el_wline(e->el);
    struct ml_place_on_screen place = end_of_prompt(e);
    size_t length = (size_t)((to_end ? line->end : line->cursor) - line->start);
    ml_terminal_advance(&place, line->start, length, e->columns);
    return place;
}

/* Notes that the line is on the screen, until a write takes it away. */
static void note_shown(struct ml_editor *e)
{
    unsigned row = place_in_line(e, false).row;
    char up[16] = "";
    if (row > 0)
        snprintf(up, sizeof up, "\33[%uA", row);
    snprintf(e->line.erase, sizeof e->line.erase, "\r%s\33[J", up);
    e->line.is_unfinished = e->line.was_taken = false;
    e->line.is_shown = true;
}

void ml_editor_say(struct ml_editor *e, const char *text)
{
    fputs(text, e->out);
    fflush(e->out);
}

/* Shows the line again, below the text that was written meanwhile. */
static void show_again(struct ml_editor *e)
{
    if (e->line.is_unfinished)
        ml_editor_say(e, "\n");
    e->lib.el_set(e->el, ML_EL_REFRESH);
}

/* Moves below the line: text that is written next leaves it standing. */
void ml_editor_leave_line(struct ml_editor *e, const char *text)
{
    unsigned rows = place_in_line(e, true).row - place_in_line(e, false).row;
    while (rows-- > 0)
        fputs("\33[B", e->out);
    ml_editor_say(e, text);
}

/* Checks the terminal: its size may have changed, or another program may have changed the settings.
 */
static void look_at_terminal(struct ml_editor *e)
{
    bool was_stopped = ml_terminal_was_stopped();
    unsigned columns = ml_terminal_columns();
    if (!was_stopped && columns == e->columns)
        return;
    e->columns = columns;
    if (was_stopped) {
        e->lib.el_set(e->el, ML_EL_PREP_TERM, 0);
        e->lib.el_set(e->el, ML_EL_PREP_TERM, 1);
    } else if (!e->line.was_taken) {
        note_shown(e);
        e->line.is_shown = false;
        ml_editor_say(e, e->line.erase);
        e->line.is_unfinished = false;
    }
    e->line.is_shown = false;
    e->line.was_taken = true;
    e->lib.el_resize(e->el);
}

/* ---- reading keys ---- */

static bool has_key(const struct ml_editor *e)
{
    struct pollfd keys = {.fd = e->keys.number, .events = POLLIN};
    return poll(&keys, 1, 0) > 0;
}

/* Parks the task until there may be a key, or something to do for the line. 0 or a negated errno.
 */
static int park(struct ml_editor *e)
{
    if (!ml_blocking_try(e->L))
        return -EDEADLK;
    ml_editor_leave_locale(e);
    int error = ml_fd_wait(&e->keys, ML_FD_READ, &key_kind, ML_FOREVER);
    ml_editor_enter_locale(e);
    ml_blocking_finish(e->L);
    return error;
}

static int wait_for_key(struct ml_editor *e)
{
    int error = 0;
    while (error == 0 && !has_key(e)) {
        if (e->line.was_taken)
            show_again(e);
        note_shown(e);
        error = park(e);
        look_at_terminal(e);
    }
    e->line.is_shown = false;
    if (error == 0 && e->line.was_taken)
        show_again(e);
    e->line.was_taken = false;
    return error;
}

/* 1; 0 at the end of input; or a negated errno. */
static int read_byte(struct ml_editor *e, char *byte)
{
    ssize_t size;
    do {
        int error = wait_for_key(e);
        if (error != 0)
            return error;
        size = read(e->keys.number, byte, 1);
    } while (size < 0 && (errno == EINTR || errno == EAGAIN));
    return size > 0;
}

int ml_editor_read_key(struct ml_el *el, wchar_t *key)
{
    (void)el;
    enum { INCOMPLETE = -2 };
    struct ml_editor *e = ml_editor_current();
    ssize_t state = INCOMPLETE;
    int result = 1;
    char byte;
    while (result == 1 && state == INCOMPLETE) {
        result = read_byte(e, &byte);
        if (result == 1)
            state = (ssize_t)mbrtowc(key, &byte, 1, &e->state);
    }
    if (state == -1) {
        *key = NO_CHARACTER;
        e->state = (mbstate_t){0};
    }
    e->error = result < 0 ? result : 0;
    return result < 0 ? -1 : result;
}
