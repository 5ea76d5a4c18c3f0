#include "vm/warnings.h"

#include "bindings/core/lua_runtime.h"
#include "interpose/prompt.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Obeys a message of one piece that starts with "@", which is never written. */
static bool obey(struct ml_warnings *warnings, const char *piece, bool to_be_continued)
{
    if (warnings->continues || to_be_continued || piece[0] != '@')
        return false;
    if (strcmp(piece, "@on") == 0)
        warnings->is_on = true;
    else if (strcmp(piece, "@off") == 0)
        warnings->is_on = false;
    warnings->is_off = !warnings->is_on;
    return true;
}

/* Called before a piece of a message is written. */
static void make_way(const struct ml_warnings *warnings, const char *piece)
{
    ml_prompt_make_way(warnings->lua->libc_calls, STDERR_FILENO, piece, strlen(piece));
}

static void warn(void *data, const char *piece, int to_be_continued)
{
    struct ml_warnings *warnings = data;
    if (obey(warnings, piece, to_be_continued))
        return;
    if (warnings->is_on) {
        make_way(warnings, to_be_continued ? piece : "\n");
        fprintf(stderr, "%s%s%s", warnings->continues ? "" : "Lua warning: ", piece,
                to_be_continued ? "" : "\n");
        fflush(stderr);
    }
    warnings->continues = warnings->is_on && to_be_continued;
}

void ml_warnings_tell(struct ml_warnings *warnings, const char *text)
{
    if (warnings->is_off)
        return;
    make_way(warnings, "\n");
    fprintf(stderr, "Lua warning: %s\n", text);
    fflush(stderr);
}

void ml_warnings_open(lua_State *L, struct ml_lua *lua, struct ml_warnings *warnings)
{
    *warnings = (struct ml_warnings){.lua = lua};
    lua_setwarnf(L, warn, warnings);
}
