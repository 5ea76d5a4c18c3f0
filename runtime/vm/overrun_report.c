/* Reports about tasks, and about a C stack overflow (deadlock: vm/deadlock.c). */
#include "vm/overrun_report.h"

#include "bindings/core/lua_strand.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/task_view.h"
#include "coro/overflow.h"
#include "vm/moonlet_state.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t ml_task_text(char text[ML_TASK_TEXT], const struct moonlet *m, struct ml_task *task)
{
    snprintf(text, ML_TASK_TEXT, "task #%llu, spawned at %s, ", (unsigned long long)task->id,
             ml_source_line_text(&m->lua.source_lines, ml_lua_task_of(task)->source_line));
    return strlen(text);
}

void ml_tell_overrun(struct moonlet *m, struct ml_task *task)
{
    char text[ML_TASK_TEXT];
    size_t length = ml_task_text(text, m, task);
    snprintf(text + length, sizeof text - length, "did not end within %d s of its cancellation",
             (int)(ML_UNWIND_TIME / ML_SECOND));
    m->lua.report.tell(&m->lua, text);
    m->lua.report.was_told = true;
}

/* ---- in the signal handler: no allocation, no stdio ---- */

static void say(const char *text)
{
    ssize_t written = write(STDERR_FILENO, text, strlen(text));
    (void)written;
}

static void say_frame(lua_State *L, lua_Debug *frame)
{
    char line[256];
    if (!lua_getinfo(L, "Sl", frame))
        return;
    if (frame->currentline > 0)
        snprintf(line, sizeof line, "\t%s:%d\n", frame->short_src, frame->currentline);
    else
        snprintf(line, sizeof line, "\t%s\n", frame->short_src);
    say(line);
}

void ml_lua_frames_say(lua_State *L)
{
    enum { FRAMES = 20 };
    lua_Debug frame;
    for (int level = 0; level < FRAMES && lua_getstack(L, level, &frame); level++)
        say_frame(L, &frame);
}

/* The name of a task, "" without one. Only reads: nothing here allocates. */
static const char *name_of(struct ml_lua *lua, struct ml_lua_task *task)
{
    ml_lua_push_task(lua->aside, task);
    const char *name = ml_lua_push_task_name(lua->aside, lua_gettop(lua->aside));
    return name != NULL ? name : "";
}

void ml_overflow_tell(struct ml_bank *bank)
{
    struct ml_hub *hub = ml_container_of(bank, struct ml_hub, bank);
    struct ml_lua_task *task = ml_lua_task_of(hub->current);
    char line[256];
    snprintf(line, sizeof line,
             "moonlet: C stack overflow in task '%.64s' (#%llu): its stack of %zu KiB is full "
             "(--stack-size makes it larger)\nLua frames of the task, innermost first:\n",
             name_of(hub->owner, task), (unsigned long long)task->task.id,
             bank->running->seat->stack.size / 1024);
    say(line);
    ml_lua_frames_say(ml_thread_of(task->task.strand));
}
