/* The least a host does: gives scripts a function, runs a string as a program, and says how it
 * ended. */
#include "moonlet.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdio.h>

/* greet(name): called by scripts. It waits, and only its task does. */
static int greet(lua_State *L)
{
    const char *name = luaL_checkstring(L, 1);
    moonlet_sleep(moonlet_of(L), 0.01);
    printf("hello, %s\n", name);
    return 0;
}

static const char script[] = "local task = require 'moonlet.task'\n"
                             "for _, name in ipairs { 'world', 'moon' } do\n"
                             "  task.spawn(greet, name)\n"
                             "end\n"
                             "print 'both are greeted at once'\n";

int main(void)
{
    struct moonlet *m = moonlet_create(NULL);
    if (m == NULL) {
        perror("moonlet_create");
        return 1;
    }
    lua_register(moonlet_lua(m), "greet", greet);
    int error = moonlet_load_string(m, script, "=script");
    int status = error == 0 ? moonlet_run(m) : error;
    if (status < 0)
        fprintf(stderr, "%s\n", moonlet_error_text(status));
    moonlet_close(m);
    printf("status %d\n", status);
    return status != 0;
}
