#include "bindings/inspect/runtime_figures.h"

#include "bindings/core/lua_runtime.h"
#include "bindings/core/lua_task.h"
#include "bindings/http/types.h"
#include "bindings/inspect/collector_clock.h"
#include "bindings/inspect/process_figures.h"
#include "bindings/inspect/series.h"
#include "hub/on/offload.h"
#include "hub/state/deadlines.h"

/* Sets a field of the table on top. */
static void set(lua_State *L, const char *name, lua_Number value)
{
    ml_push_plain_number(L, value);
    lua_setfield(L, -2, name);
}

static void set_count(lua_State *L, const char *name, uint64_t value)
{
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

unsigned ml_inspect_length(const struct ml_link *list)
{
    unsigned count = 0;
    for (const struct ml_link *link = list->next; link != NULL && link != list; link = link->next)
        count++;
    return count;
}

static void set_tasks(lua_State *L, const struct ml_lua *lua)
{
    const struct ml_hub *hub = &lua->hub;
    const uint64_t *outcomes = lua->tasks.outcomes;
    set_count(L, "tasks", hub->tasks.alive);
    set_count(L, "tasks_ready", hub->ready.count);
    set_count(L, "tasks_spawned", hub->tasks.last_id);
    set_count(L, "tasks_done", outcomes[ML_OUTCOME_DONE]);
    set_count(L, "tasks_failed", outcomes[ML_OUTCOME_FAILED]);
    set_count(L, "tasks_cancelled", outcomes[ML_OUTCOME_CANCELLED]);
    set_count(L, "slices_preempted", lua->tasks.preempted);
    set_count(L, "slices_postponed", lua->tasks.postponed);
    set_count(L, "slices_slow", lua->tasks.slow);
    set_count(L, "timers", hub->deadlines.timers.count - hub->deadlines.timers.stale);
    set_count(L, "children", ml_inspect_length(&lua->children.all));
}

static void set_memory(lua_State *L, struct ml_lua *lua)
{
    const struct ml_bank *bank = &lua->hub.bank;
    set(L, "lua_heap", 1024.0 * lua_gc(L, LUA_GCCOUNT) + lua_gc(L, LUA_GCCOUNTB));
    if (ml_collector_watch(lua))
        set(L, "gc_seconds", (double)lua->collector.spent / ML_SECOND);
    set_count(L, "stacks", bank->made);
    set_count(L, "stack_copies", bank->copies);
    set_count(L, "stack_copied", bank->copied_bytes);
}

static void set_io(lua_State *L, const struct ml_lua *lua)
{
    const struct ml_io_counters *io = &lua->io.counters;
    set_count(L, "dns_questions", io->dns_questions);
    set_count(L, "dns_absent", io->dns_absent);
    set_count(L, "dns_failed", io->dns_failed);
    set_count(L, "tls_accepted", io->tls_accepted);
    set_count(L, "tls_connected", io->tls_connected);
    set_count(L, "tls_resumed", io->tls_resumed);
    set_count(L, "tls_failed", io->tls_failed);
}

/* Sets lists with an entry for each kind of work. */
static void set_workers(lua_State *L, const struct ml_lua *lua)
{
    static const char *const kinds[] = {[ML_WORK_DISK] = "disk",
                                        [ML_WORK_NAMES] = "names",
                                        [ML_WORK_CLOSE] = "close",
                                        [ML_WORK_USER] = "user",
                                        [ML_WORK_DATABASE] = "database"};
    lua_createtable(L, 0, ML_WORKS);
    for (int i = 0; i < ML_WORKS; i++) {
        struct ml_offload_figures figures;
        ml_offload_count(&lua->hub, (enum ml_work)i, &figures);
        lua_createtable(L, 0, 4);
        set_count(L, "jobs", figures.jobs);
        set_count(L, "queued", figures.queued);
        set_count(L, "workers", figures.workers);
        set_count(L, "idle", figures.idle);
        lua_setfield(L, -2, kinds[i]);
    }
    lua_setfield(L, -2, "work");
}

static void set_http(lua_State *L, const struct ml_lua *lua)
{
    struct ml_http_counters sum = {.connections = lua->http.connections,
                                   .requests = lua->http.requests,
                                   .errors = lua->http.errors,
                                   .refused = lua->http.refused};
    for (const struct ml_lua_server *s = lua->http.servers; s != NULL; s = s->next) {
        sum.connections += s->http.counters.connections;
        sum.requests += s->http.counters.requests;
        sum.errors += s->http.counters.errors;
        sum.refused += s->http.counters.refused;
        sum.open += s->http.counters.open;
        sum.in_flight += s->http.counters.in_flight;
    }
    set_count(L, "http_connections", sum.connections);
    set_count(L, "http_requests", sum.requests);
    set_count(L, "http_errors", sum.errors);
    set_count(L, "http_refused", sum.refused);
    set_count(L, "http_open", sum.open);
    set_count(L, "http_in_flight", sum.in_flight);
}

static void set_process(lua_State *L)
{
    struct ml_process_figures process;
    ml_process_figures_read(&process);
    set(L, "cpu", process.cpu_seconds);
    if (process.start_seconds > 0)
        set(L, "start", process.start_seconds);
    if (process.resident_bytes > 0)
        set_count(L, "resident", process.resident_bytes);
    if (process.virtual_bytes > 0)
        set_count(L, "virtual", process.virtual_bytes);
    if (process.threads > 0)
        set_count(L, "threads", process.threads);
    if (process.open_fds >= 0)
        set_count(L, "open_fds", (uint64_t)process.open_fds);
    set(L, "max_fds", process.max_fds);
}

int ml_inspect_runtime(lua_State *L)
{
    struct ml_lua *lua = ml_lua_of(L);
    lua_createtable(L, 0, 40);
    set_tasks(L, lua);
    set_memory(L, lua);
    set_io(L, lua);
    set_workers(L, lua);
    set_http(L, lua);
    set_process(L);
    return 1;
}
