/*
 * A host that lives on GLib's main loop: moonlet_fd() is one more descriptor of it, and a step runs
 * whatever can. GLib's own timers go on beside the tasks.
 */
#include "moonlet.h"

#include <glib-unix.h>
#include <glib.h>
#include <stdio.h>

static const char script[] = "local task = require 'moonlet.task'\n"
                             "for i = 1, 3 do task.sleep(0.01) print('task', i) end\n";

struct host {
    struct moonlet *m;
    GMainLoop *loop;
    int ticks;
};

static gboolean on_readable(gint fd, GIOCondition condition, gpointer data)
{
    struct host *host = data;
    (void)fd, (void)condition;
    if (moonlet_step(host->m, 0, 0.01) > 0)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(host->loop);
    return G_SOURCE_REMOVE;
}

static gboolean on_tick(gpointer data)
{
    ((struct host *)data)->ticks++;
    return G_SOURCE_CONTINUE;
}

int main(void)
{
    struct host host = {.m = moonlet_create(NULL)};
    if (host.m == NULL || moonlet_load_string(host.m, script, "=script") != 0 ||
        moonlet_start(host.m) != 0)
        return 1;
    host.loop = g_main_loop_new(NULL, FALSE);
    g_timeout_add(1, on_tick, &host);
    g_unix_fd_add(moonlet_fd(host.m), G_IO_IN, on_readable, &host);
    g_main_loop_run(host.loop);
    g_main_loop_unref(host.loop);
    moonlet_close(host.m);
    printf("GLib's timer %s\n", host.ticks > 3 ? "went on" : "stood still");
    return 0;
}
