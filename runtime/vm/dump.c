/*
 * Dumps of all tasks. The program asks for one when SIGQUIT comes. A task of its own makes it, in
 * slices, and a worker writes it, so that neither many tasks nor a slow terminal hold others up. If
 * the running task computes on instead of a switch, a hook makes the dump where it stands, in one
 * go.
 */
#include "vm/dump.h"

#include "base/buffer.h"
#include "bindings/core/hooks.h"
#include "bindings/core/lua_spawn.h"
#include "bindings/inspect/dump.h"
#include "hub/loop/run.h"
#include "hub/on/offload.h"
#include "interpose/prompt.h"
#include "vm/dump_alarm.h"
#include "vm/moonlet_state.h"
#include "vm/running.h"
#include "vm/runtimes.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS = LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT };

/* How long the hook leaves the dump to the hub: tasks that wait now and then come there. */
#define PATIENCE (20 * ML_MILLISECOND)

/* ---- the text ---- */

/* The text of a dump, and the job that writes it. */
struct text {
    struct ml_job job;
    struct ml_buffer bytes;
    bool is_short; /* there was no memory for the rest */
};

static void append(void *context, const char *piece, size_t size)
{
    struct text *text = context;
    if (text->is_short || ml_buffer_reserve(&text->bytes, size) != 0) {
        text->is_short = true;
        return;
    }
    memcpy(ml_buffer_end(&text->bytes), piece, size);
    ml_buffer_commit(&text->bytes, size);
}

/* Writes to standard error, piece by piece, as long as that takes one within `patience`
 * milliseconds. (What poll() promises room for does not block.) */
static void write_all(const char *bytes, size_t size, int patience)
{
    enum { PIECE = 4096 };
    bool goes_on = true;
    while (size > 0 && goes_on) {
        struct pollfd file = {.fd = STDERR_FILENO, .events = POLLOUT};
        bool has_room = poll(&file, 1, patience) > 0;
        ssize_t count = has_room ? write(STDERR_FILENO, bytes, size < PIECE ? size : PIECE) : -1;
        goes_on = count >= 0 || (has_room && (errno == EINTR || errno == EAGAIN));
        bytes += count > 0 ? count : 0;
        size -= count > 0 ? (size_t)count : 0;
    }
}

static void run_write(struct ml_job *job)
{
    enum { PATIENCE_OF_WORKER = 60000 };
    struct text *text = ml_container_of(job, struct text, job);
    write_all(ml_buffer_data(&text->bytes), ml_buffer_size(&text->bytes), PATIENCE_OF_WORKER);
}

static void free_text(struct ml_job *job)
{
    struct text *text = ml_container_of(job, struct text, job);
    ml_buffer_release(&text->bytes);
    free(text);
}

static struct text *new_text(void)
{
    struct text *text = calloc(1, sizeof *text);
    if (text == NULL)
        return NULL;
    text->job.run = run_write;
    text->job.release = free_text;
    text->job.work = ML_WORK_USER;
    text->job.must_run = true;
    return text;
}

static void begin_text(const struct moonlet *m, const struct ml_text_sink *sink)
{
    ml_text_write(sink, "%s: dump of process %d: ", m->options.name, (int)getpid());
}

/* Puts an end to the text, also to one that was cut off. */
static const char *end_text(struct text *text)
{
    static const char cut[] = "\n(no memory for the rest)\n\n";
    if (!text->is_short)
        append(text, "\n", sizeof "\n");
    if (text->is_short && ml_buffer_size(&text->bytes) >= sizeof cut)
        memcpy(ml_buffer_end(&text->bytes) - sizeof cut, cut, sizeof cut);
    text->bytes.end -= ml_buffer_size(&text->bytes) > 0; /* without the zero byte */
    return ml_buffer_data(&text->bytes);
}

/* Gives the text to the host; false: the host wants none, it goes to standard error. */
static bool report_text(struct moonlet *m, struct text *text)
{
    if (m->options.report == NULL)
        return false;
    m->options.report(m->options.report_context, ml_buffer_data(&text->bytes));
    return true;
}

/* ---- in one go ---- */

static void dump_at_once(struct moonlet *m, struct ml_dump_place place)
{
    enum { PATIENCE_OF_THREAD = 1000 };
    struct text *text = new_text();
    if (text == NULL)
        return;
    struct ml_dump dump = {.sink = {append, text}, .place = place};
    begin_text(m, &dump.sink);
    ml_dump_write_aside(&m->lua, &dump);
    end_text(text);
    if (!report_text(m, text)) {
        ml_prompt_make_way(m->lua.libc_calls, STDERR_FILENO, "\n", 1);
        write_all(ml_buffer_data(&text->bytes), ml_buffer_size(&text->bytes), PATIENCE_OF_THREAD);
    }
    free_text(&text->job);
}

int moonlet_inspect_tasks(struct moonlet *m,
                          void (*write_text)(void *context, const char *text, size_t size),
                          void *context)
{
    int error = ml_runtime_check(m);
    if (error != 0)
        return error;
    const struct ml_task *current = m->lua.hub.current;
    struct ml_dump dump = {.sink = {write_text, context}};
    if (current != NULL)
        dump.place.running = ml_thread_of(current->strand);
    ml_dump_write_aside(&m->lua, &dump);
    return 0;
}

/* ---- by a task ---- */

static const struct ml_wait_kind writing = {.text = "standard error", .external = true};

/* The body of the task. Stack: the runtime as light userdata. */
static int dump_body(lua_State *L)
{
    struct moonlet *m = lua_touserdata(L, 1);
    struct text *text = new_text();
    if (text == NULL)
        return 0;
    struct ml_dump dump = {.sink = {append, text}, .without = ml_lua_task_of(m->lua.hub.current)};
    begin_text(m, &dump.sink);
    lua_pushcfunction(L, ml_dump_write);
    lua_pushlightuserdata(L, &dump);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        ml_dump_write_failure(&dump);
    end_text(text);
    if (report_text(m, text)) {
        free_text(&text->job);
        return 0;
    }
    ml_prompt_make_way(m->lua.libc_calls, STDERR_FILENO, "\n", 1);
    if (ml_offload(&m->lua.hub, &writing, &text->job, ML_FOREVER) == 0)
        free_text(&text->job);
    return 0;
}

/* Stack: the runtime as light userdata. */
static int spawn_dump(lua_State *L)
{
    lua_pushliteral(L, "dump");
    struct ml_lua_spawn how = {
        .name = lua_tostring(L, 2), .name_index = 2, .is_daemon = true, .is_quiet = true};
    lua_pushcfunction(L, dump_body);
    lua_pushvalue(L, 1);
    int error = ml_lua_spawn(L, &how, 2);
    return error == 0 ? 0 : luaL_error(L, "no room");
}

/* False: there is no memory for a task, or tasks run no more. */
static bool start_dump(struct moonlet *m)
{
    lua_State *L = m->lua.aside;
    if (m->lua.is_unwinding || !lua_checkstack(L, 8))
        return false;
    lua_pushcfunction(L, spawn_dump);
    lua_pushlightuserdata(L, m);
    bool is_spawned = lua_pcall(L, 1, 0, 0) == LUA_OK;
    lua_pop(L, !is_spawned);
    return is_spawned;
}

/* ---- asking for one ---- */

static void arm(struct moonlet *m, struct ml_task *task)
{
    ml_hooks_share(&m->lua, ML_HOOK_DUMP);
    ml_chain_touch(task, ML_HOOK_DUMP);
}

static void disarm(struct moonlet *m)
{
    m->dump_asked_at = 0;
    ml_dump_alarm_end(m);
    ml_hooks_unshare(&m->lua, ML_HOOK_DUMP);
    if (m->lua.hub.current != NULL)
        ml_chain_refresh(m->lua.hub.current);
}

/* Called at each step of the code that computes. */
static void on_event(lua_State *L, lua_Debug *event)
{
    (void)event;
    struct moonlet *m = ml_moonlet_of(ml_lua_of(L));
    ml_time asked_at = m->dump_asked_at;
    if (asked_at != 0 && ml_clock_now() < asked_at + PATIENCE)
        return;
    disarm(m);
    ml_hooks_refresh(L);
    if (asked_at != 0)
        dump_at_once(m, (struct ml_dump_place){.running = L});
}

void ml_dump_noticed(struct ml_hub *hub)
{
    struct moonlet *m = ml_moonlet_of(hub->owner);
    if (m->dump_asked_at == 0)
        return;
    struct ml_task *task = ml_running_task(hub);
    if (task != NULL) {
        arm(m, task);
        ml_hub_notify(hub);
        return;
    }
    disarm(m);
    if (!start_dump(m))
        dump_at_once(m, (struct ml_dump_place){.running = NULL});
}

bool moonlet_inspect_dump(struct moonlet *m)
{
    if (!ml_runtime_is_open(m))
        return false;
    if (m->dump_asked_at == 0)
        m->dump_asked_at = ml_clock_now();
    ml_dump_alarm_set(m);
    ml_hub_notify(&m->lua.hub);
    bool is_own_thread = ml_bank_current == &m->lua.hub.bank;
    struct ml_task *task = is_own_thread ? ml_running_task(&m->lua.hub) : NULL;
    if (task != NULL)
        arm(m, task);
    return true;
}

/* In the handler of a poke. If another thread has asked, the code that computes was not told yet.
 */
static void on_poke(struct moonlet *m, struct ml_task *task)
{
    if (m->dump_asked_at == 0)
        return;
    bool is_told = (atomic_load(&m->lua.hooks.shared) & 1u << ML_HOOK_DUMP) != 0;
    if (is_told) {
        ml_dump_alarm_ring(m, task);
        return;
    }
    arm(m, task);
    ml_dump_alarm_set(m);
}

void ml_dumps_open(struct ml_lua *lua)
{
    static const struct ml_hook_kind kind = {.events = EVENTS, .count = 1, .on_event = on_event};
    ml_hooks_install(lua, ML_HOOK_DUMP, &kind);
    ml_moonlet_of(lua)->poke.arrived = on_poke;
}
