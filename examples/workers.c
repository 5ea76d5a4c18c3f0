/*
 * A service on several cores in a host: its main() runs twice, once as the master, which never
 * comes to Lua, and once in each worker. workers PORT [COUNT] answers over HTTP until SIGTERM;
 * SIGHUP to the first process reloads.
 */
#include "moonlet.h"

#include <lauxlib.h>
#include <lua.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static struct moonlet *runtime; /* for the handler of signals */

/* A worker that has drained is asked to end by SIGTERM, as by the user. */
static void on_signal(int number)
{
    moonlet_interrupt(runtime, number);
}

static const char script[] =
    "local worker = require 'moonlet.worker'\n"
    "local function answer() return ('worker %d of %d, generation %d\\n'):format(worker.id,\n"
    "  worker.count, worker.generation) end\n"
    "assert(require 'moonlet.http'.serve({ port = port, grace = 5 }, answer))\n";

static int serve(int port)
{
    runtime = moonlet_create(NULL);
    if (runtime == NULL)
        return EXIT_FAILURE;
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGTERM, &action, NULL);
    lua_pushinteger(moonlet_lua(runtime), port);
    lua_setglobal(moonlet_lua(runtime), "port");
    int error = moonlet_load_string(runtime, script, "=script");
    int status = error == 0 ? moonlet_run(runtime) : error;
    if (status < 0)
        fprintf(stderr, "%s\n", moonlet_error_text(status));
    signal(SIGTERM, SIG_DFL);
    moonlet_close(runtime);
    return status != 0;
}

int main(int argc, char *argv[])
{
    int status;
    int port = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 0;
    struct moonlet_workers workers = {.count = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 2,
                                      .arguments = argv,
                                      .grace = 10,
                                      .name = "workers"};
    if (port <= 0) {
        fputs("usage: workers PORT [COUNT]\n", stderr);
        return EXIT_FAILURE;
    }
    int role = moonlet_workers_run(&workers, &status);
    if (role < 0)
        fprintf(stderr, "workers: %s\n", moonlet_error_text(role));
    if (role <= 0)
        return role == 0 ? status : EXIT_FAILURE;
    return serve(port);
}
