/*
 * What a script reaches that nobody has read: what is on the list here, and nothing else. A host's
 * ban of moonlet.net left moonlet.repl.session, by which scripts listed directories and made some.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <lauxlib.h>
#include <lua.h>
#include <stdlib.h>
#include <string.h>

/*
 * Every function that an untrusted script may reach, by the path on which the walk finds it first.
 * A function that is new to scripts is put here once somebody has thought about what it gives to
 * one that means harm.
 */
static const char *const reachable[] = {
#include "sandbox_functions.inc"
};

static int failures;

static int found(lua_State *L)
{
    const char *path = luaL_checkstring(L, 1);
    for (size_t i = 0; i < sizeof reachable / sizeof *reachable; i++)
        if (strcmp(reachable[i], path) == 0)
            return 0;
    fprintf(stderr, "\"%s\",\n", path);
    failures++;
    return 0;
}

/* What a method of an object of moonlet's, or of Lua's, may be called: those of userdata can only
 * be tried. */
static const char names[] =
    "accept accepted acquire add address balance cancel clear close closed connect dead discard end_of errors fail "
    "finished get handle has hold id is_closed is_set items join lease len limit lines list lock locked name new next "
    "notify notify_all on_exit open order owner parent peek permit places pool put reason read receive release report "
    "results room select send set shift spawn started status switch take task_done throw tostring traceback try_lock "
    "unlock value values wait write __call __close __eq __gc __index __len __metatable __mode __name __newindex "
    "__pairs __tostring";

static struct moonlet *open_box(unsigned without)
{
    struct moonlet *m = open_runtime((struct moonlet_options){.without = without});
    lua_State *L = moonlet_lua(m);
    lua_register(L, "found", found);
    lua_pushstring(L, names);
    lua_setglobal(L, "names");
    failures = 0;
    return m;
}

static void test_nothing_is_reached_that_is_not_on_the_list(void **state)
{
    (void)state;
    struct moonlet *m = open_box(MOONLET_UNTRUSTED);
    assert_int_equal(moonlet_load_file(m, "tests/sandbox/walk.lua"), 0);
    assert_int_equal(moonlet_run(m), 0);
    assert_int_equal(failures, 0);
    moonlet_close(m);
}

/* The walk does find what there is. */
static void test_the_walk_finds_what_is_reached_in_odd_ways(void **state)
{
    (void)state;
    static const char *const ways[] = {
        "string.extra = print_more",
        "getmetatable('').__index = setmetatable({}, {__index = {print_more}})",
        "package.preload.extra = function() return {{print_more}} end",
        "package.loaded[{print_more}] = 1",
        "math[1] = coroutine.create(print) setmetatable(math, {__call = print_more})",
        ("local core = require 'moonlet.sync.core' local new = core.event\n"
         "core.event = function() return {wait = print_more, set = print_more} end"),
    };
    for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
        struct moonlet *m = open_box(MOONLET_UNTRUSTED);
        char source[512];
        snprintf(source, sizeof source, "local function print_more() end %s", ways[i]);
        assert_int_equal(moonlet_load_string(m, source, "=way"), 0);
        assert_int_equal(moonlet_load_file(m, "tests/sandbox/walk.lua"), 0);
        fprintf(stderr, "to be found, way %zu: ", i);
        assert_int_equal(moonlet_run(m), 0);
        assert_true(failures > 0);
        moonlet_close(m);
    }
}

/* All that is there, but for the values, as one text. */
static const char inventory[] =
    "local lines = {}\n"
    "local function add(name, t) for k in next, t do lines[#lines + 1] = name .. '.' .. tostring(k) end end\n"
    "add('_G', _G) add('loaded', package.loaded) add('preload', package.preload) add('searchers', package.searchers)\n"
    "for _, name in ipairs {'package', 'coroutine', 'string', 'table', 'math', 'utf8', 'os', 'io', 'debug'} do\n"
    "  add(name, _G[name] or {}) end\n"
    "add('string metatable', (debug.getmetatable or getmetatable)(''))\n"
    "table.sort(lines) result = table.concat(lines, '\\n')\n";

static char *take_inventory(unsigned without)
{
    struct moonlet *m = open_runtime((struct moonlet_options){.without = without});
    assert_int_equal(run_string(m, inventory), 0);
    lua_State *L = moonlet_lua(m);
    lua_getglobal(L, "result");
    char *text = strdup(lua_tostring(L, -1));
    lua_settop(L, 0);
    moonlet_close(m);
    return text;
}

static bool has_line(const char *text, const char *line, size_t length)
{
    for (const char *at = text; (at = strstr(at, line)) != NULL; at++)
        if ((at == text || at[-1] == '\n') && (at[length] == '\n' || at[length] == '\0'))
            return true;
    return false;
}

/* The names that a runtime lacks without one part, of all that one has that lacks nothing. */
static char *missing_without(unsigned without)
{
    char *all = take_inventory(0), *some = take_inventory(without);
    char *missing = calloc(1, strlen(all) + 2), *rest = all;
    for (char *line; (line = strsep(&rest, "\n")) != NULL;)
        if (!has_line(some, line, strlen(line)))
            strcat(strcat(missing, line), " ");
    free(all);
    free(some);
    return missing;
}

/* So a library's function that nobody put on the list is missed here, too. */
static void test_without_one_part_all_others_are_whole(void **state)
{
    (void)state;
    static const struct {
        unsigned without;
        const char *missing;
    } cases[] = {
        {MOONLET_BYTECODE, "_G.dofile _G.loadfile "},
        {MOONLET_FILES, "package.path package.searchpath searchers.4 "},
        {MOONLET_C,
         "package.cpath package.loadlib preload.moonlet.blocking.core searchers.3 searchers.4 "},
        {MOONLET_NET,
         "preload.moonlet.http preload.moonlet.http.access_log preload.moonlet.http.client "
         "preload.moonlet.http.client.address preload.moonlet.http.client.body preload.moonlet.http.client.call "
         "preload.moonlet.http.client.connect preload.moonlet.http.client.connection "
         "preload.moonlet.http.client.core preload.moonlet.http.client.credentials "
         "preload.moonlet.http.client.deadline preload.moonlet.http.client.download "
         "preload.moonlet.http.client.exchange preload.moonlet.http.client.file preload.moonlet.http.client.hop "
         "preload.moonlet.http.client.http2 preload.moonlet.http.client.options preload.moonlet.http.client.origin "
         "preload.moonlet.http.client.redirect preload.moonlet.http.client.reply preload.moonlet.http.client.retry "
         "preload.moonlet.http.client.tunnel preload.moonlet.http.client.upload preload.moonlet.http.conditions "
         "preload.moonlet.http.cookies preload.moonlet.http.files preload.moonlet.http.files.core "
         "preload.moonlet.http.headers preload.moonlet.http.multipart preload.moonlet.http.multipart.core "
         "preload.moonlet.http.parts preload.moonlet.http.pool preload.moonlet.http.proxy "
         "preload.moonlet.http.reader preload.moonlet.http.request preload.moonlet.http.response "
         "preload.moonlet.http.router preload.moonlet.http.saving preload.moonlet.http.server "
         "preload.moonlet.http.server.core preload.moonlet.http.trusted preload.moonlet.http.types "
         "preload.moonlet.inspector.access preload.moonlet.inspector.adapter preload.moonlet.inspector.attach "
         "preload.moonlet.inspector.core preload.moonlet.inspector.dap preload.moonlet.inspector.dap.wire "
         "preload.moonlet.inspector.debuggee preload.moonlet.inspector.debugger "
         "preload.moonlet.inspector.endpoints preload.moonlet.inspector.mistake preload.moonlet.inspector.page "
         "preload.moonlet.inspector.page_script preload.moonlet.inspector.page_style "
         "preload.moonlet.inspector.plain preload.moonlet.inspector.program preload.moonlet.inspector.recording "
         "preload.moonlet.inspector.reply preload.moonlet.inspector.screen preload.moonlet.inspector.server "
         "preload.moonlet.net preload.moonlet.net.core preload.moonlet.patch preload.moonlet.postgres "
         "preload.moonlet.postgres.connection preload.moonlet.postgres.copy preload.moonlet.postgres.core "
         "preload.moonlet.postgres.cursors preload.moonlet.postgres.database preload.moonlet.postgres.engine "
         "preload.moonlet.postgres.listener preload.moonlet.postgres.parameters preload.moonlet.postgres.pool "
         "preload.moonlet.postgres.readings preload.moonlet.postgres.target preload.moonlet.process "
         "preload.moonlet.process.core preload.moonlet.process.run preload.moonlet.process.start "
         "preload.moonlet.redis preload.moonlet.redis.address preload.moonlet.redis.batch "
         "preload.moonlet.redis.cluster preload.moonlet.redis.commands preload.moonlet.redis.connection "
         "preload.moonlet.redis.execute preload.moonlet.redis.node preload.moonlet.redis.resp "
         "preload.moonlet.redis.scan preload.moonlet.redis.script preload.moonlet.redis.subscription "
         "preload.moonlet.serving preload.moonlet.websocket preload.moonlet.websocket.core preload.moonlet.worker "
         "preload.moonlet.worker.bus preload.moonlet.worker.core preload.moonlet.worker.drain "
         "preload.moonlet.worker.figures preload.moonlet.worker.messages preload.moonlet.worker.passing "
         "preload.moonlet.worker.redis_store preload.moonlet.worker.redis_value preload.moonlet.worker.show "
         "preload.moonlet.worker.topics "},
        {MOONLET_DEBUG,
         "debug.debug debug.gethook debug.getinfo debug.getlocal debug.getmetatable debug.getregistry "
         "debug.getupvalue debug.getuservalue debug.setcstacklimit debug.sethook debug.setlocal debug.setmetatable "
         "debug.setupvalue debug.setuservalue debug.upvalueid debug.upvaluejoin preload.moonlet.inspect "
         "preload.moonlet.inspect.agent preload.moonlet.inspect.agent.core preload.moonlet.inspect.agent.debugger "
         "preload.moonlet.inspect.agent.durable preload.moonlet.inspect.agent.evaluate "
         "preload.moonlet.inspect.agent.program preload.moonlet.inspect.agent.recording "
         "preload.moonlet.inspect.agent.workers preload.moonlet.inspect.client_metrics "
         "preload.moonlet.inspect.debugger preload.moonlet.inspect.debugger.chunks "
         "preload.moonlet.inspect.debugger.core preload.moonlet.inspect.debugger.frames "
         "preload.moonlet.inspect.debugger.handles preload.moonlet.inspect.debugger.lines "
         "preload.moonlet.inspect.debugger.values preload.moonlet.inspect.exposition "
         "preload.moonlet.inspect.listen preload.moonlet.inspect.metric_check preload.moonlet.inspect.metrics "
         "preload.moonlet.inspect.metrics.core preload.moonlet.inspect.own_metrics "
         "preload.moonlet.inspect.perfetto preload.moonlet.inspect.profile preload.moonlet.inspect.profile.core "
         "preload.moonlet.inspect.profile.folded preload.moonlet.inspect.profile.formats "
         "preload.moonlet.inspect.profile.labels preload.moonlet.inspect.profile.list "
         "preload.moonlet.inspect.profile.pprof preload.moonlet.inspect.profile.speedscope "
         "preload.moonlet.inspect.profile.svg preload.moonlet.inspect.profile.svg_script "
         "preload.moonlet.inspect.start preload.moonlet.inspect.tasks preload.moonlet.inspect.tasks.core "
         "preload.moonlet.inspect.trace preload.moonlet.inspect.trace.core preload.moonlet.inspector.access "
         "preload.moonlet.inspector.adapter preload.moonlet.inspector.attach preload.moonlet.inspector.core "
         "preload.moonlet.inspector.dap preload.moonlet.inspector.dap.wire preload.moonlet.inspector.debuggee "
         "preload.moonlet.inspector.debugger preload.moonlet.inspector.endpoints preload.moonlet.inspector.mistake "
         "preload.moonlet.inspector.page preload.moonlet.inspector.page_script "
         "preload.moonlet.inspector.page_style preload.moonlet.inspector.plain preload.moonlet.inspector.program "
         "preload.moonlet.inspector.recording preload.moonlet.inspector.reply preload.moonlet.inspector.screen "
         "preload.moonlet.inspector.server "},
        {MOONLET_IO,
         "_G.dofile _G.io _G.loadfile io.close io.flush io.input io.lines io.open io.output io.popen io.read "
         "io.stderr io.stdin io.stdout io.tmpfile io.type io.write loaded.io preload.moonlet.durable "
         "preload.moonlet.durable.admin preload.moonlet.durable.branches preload.moonlet.durable.calendar "
         "preload.moonlet.durable.claims preload.moonlet.durable.context preload.moonlet.durable.crash "
         "preload.moonlet.durable.cron preload.moonlet.durable.engine_postgres "
         "preload.moonlet.durable.engine_sqlite preload.moonlet.durable.failure preload.moonlet.durable.handles "
         "preload.moonlet.durable.identity preload.moonlet.durable.keys preload.moonlet.durable.metrics "
         "preload.moonlet.durable.ops preload.moonlet.durable.policy preload.moonlet.durable.program "
         "preload.moonlet.durable.run preload.moonlet.durable.schedules preload.moonlet.durable.schema "
         "preload.moonlet.durable.signals preload.moonlet.durable.step preload.moonlet.durable.testing "
         "preload.moonlet.durable.values preload.moonlet.durable.waits preload.moonlet.durable.worker "
         "preload.moonlet.durable.writer preload.moonlet.durable.zone preload.moonlet.durable.zone_rule "
         "preload.moonlet.fs preload.moonlet.fs.core preload.moonlet.fs.glob preload.moonlet.fs.temporary "
         "preload.moonlet.fs.watch.core preload.moonlet.http.files.core preload.moonlet.postgres "
         "preload.moonlet.postgres.connection preload.moonlet.postgres.copy preload.moonlet.postgres.core "
         "preload.moonlet.postgres.cursors preload.moonlet.postgres.database preload.moonlet.postgres.engine "
         "preload.moonlet.postgres.listener preload.moonlet.postgres.parameters preload.moonlet.postgres.pool "
         "preload.moonlet.postgres.readings preload.moonlet.postgres.target preload.moonlet.repl "
         "preload.moonlet.repl.complete preload.moonlet.repl.editor preload.moonlet.repl.history "
         "preload.moonlet.repl.session preload.moonlet.repl.show preload.moonlet.sqlite "
         "preload.moonlet.sqlite.core "},
        {MOONLET_OS,
         "os.execute os.exit os.getenv os.remove os.rename os.setlocale os.tmpname preload.moonlet.crypto "
         "preload.moonlet.durable preload.moonlet.durable.admin preload.moonlet.durable.branches "
         "preload.moonlet.durable.calendar preload.moonlet.durable.claims preload.moonlet.durable.context "
         "preload.moonlet.durable.crash preload.moonlet.durable.cron preload.moonlet.durable.encoding "
         "preload.moonlet.durable.engine_postgres preload.moonlet.durable.engine_sqlite "
         "preload.moonlet.durable.failure preload.moonlet.durable.handles preload.moonlet.durable.identity "
         "preload.moonlet.durable.keys preload.moonlet.durable.metrics preload.moonlet.durable.ops "
         "preload.moonlet.durable.policy preload.moonlet.durable.program preload.moonlet.durable.run "
         "preload.moonlet.durable.schedules preload.moonlet.durable.schema preload.moonlet.durable.signals "
         "preload.moonlet.durable.step preload.moonlet.durable.testing preload.moonlet.durable.values "
         "preload.moonlet.durable.waits preload.moonlet.durable.worker preload.moonlet.durable.writer "
         "preload.moonlet.durable.zone preload.moonlet.durable.zone_rule preload.moonlet.fs "
         "preload.moonlet.fs.core preload.moonlet.fs.glob preload.moonlet.fs.temporary "
         "preload.moonlet.fs.watch.core preload.moonlet.inspect preload.moonlet.inspect.agent "
         "preload.moonlet.inspect.agent.core preload.moonlet.inspect.agent.debugger "
         "preload.moonlet.inspect.agent.durable preload.moonlet.inspect.agent.evaluate "
         "preload.moonlet.inspect.agent.program preload.moonlet.inspect.agent.recording "
         "preload.moonlet.inspect.agent.workers preload.moonlet.inspect.client_metrics "
         "preload.moonlet.inspect.debugger preload.moonlet.inspect.debugger.chunks "
         "preload.moonlet.inspect.debugger.core preload.moonlet.inspect.debugger.frames "
         "preload.moonlet.inspect.debugger.handles preload.moonlet.inspect.debugger.lines "
         "preload.moonlet.inspect.debugger.values preload.moonlet.inspect.exposition "
         "preload.moonlet.inspect.listen preload.moonlet.inspect.metric_check preload.moonlet.inspect.metrics "
         "preload.moonlet.inspect.metrics.core preload.moonlet.inspect.own_metrics "
         "preload.moonlet.inspect.perfetto preload.moonlet.inspect.profile preload.moonlet.inspect.profile.core "
         "preload.moonlet.inspect.profile.folded preload.moonlet.inspect.profile.formats "
         "preload.moonlet.inspect.profile.labels preload.moonlet.inspect.profile.list "
         "preload.moonlet.inspect.profile.pprof preload.moonlet.inspect.profile.speedscope "
         "preload.moonlet.inspect.profile.svg preload.moonlet.inspect.profile.svg_script "
         "preload.moonlet.inspect.start preload.moonlet.inspect.tasks preload.moonlet.inspect.tasks.core "
         "preload.moonlet.inspect.trace preload.moonlet.inspect.trace.core preload.moonlet.inspector.access "
         "preload.moonlet.inspector.adapter preload.moonlet.inspector.attach preload.moonlet.inspector.core "
         "preload.moonlet.inspector.dap preload.moonlet.inspector.dap.wire preload.moonlet.inspector.debuggee "
         "preload.moonlet.inspector.debugger preload.moonlet.inspector.endpoints preload.moonlet.inspector.mistake "
         "preload.moonlet.inspector.page preload.moonlet.inspector.page_script "
         "preload.moonlet.inspector.page_style preload.moonlet.inspector.plain preload.moonlet.inspector.program "
         "preload.moonlet.inspector.recording preload.moonlet.inspector.reply preload.moonlet.inspector.screen "
         "preload.moonlet.inspector.server preload.moonlet.postgres preload.moonlet.postgres.connection "
         "preload.moonlet.postgres.copy preload.moonlet.postgres.core preload.moonlet.postgres.cursors "
         "preload.moonlet.postgres.database preload.moonlet.postgres.engine preload.moonlet.postgres.listener "
         "preload.moonlet.postgres.parameters preload.moonlet.postgres.pool preload.moonlet.postgres.readings "
         "preload.moonlet.postgres.target preload.moonlet.process preload.moonlet.process.core "
         "preload.moonlet.process.run preload.moonlet.process.start preload.moonlet.repl "
         "preload.moonlet.repl.complete preload.moonlet.repl.editor preload.moonlet.repl.history "
         "preload.moonlet.repl.session preload.moonlet.repl.show preload.moonlet.signal "
         "preload.moonlet.signal.core preload.moonlet.sql preload.moonlet.sql.database preload.moonlet.sql.group "
         "preload.moonlet.sql.loans preload.moonlet.sql.rows preload.moonlet.sql.statement "
         "preload.moonlet.sql.transaction preload.moonlet.sqlite preload.moonlet.sqlite.core "
         "preload.moonlet.terminal preload.moonlet.terminal.core preload.moonlet.test preload.moonlet.test.core "
         "preload.moonlet.test.specs preload.moonlet.thread preload.moonlet.thread.core "
         "preload.moonlet.thread.worker preload.moonlet.websocket preload.moonlet.websocket.core "
         "preload.moonlet.worker preload.moonlet.worker.bus preload.moonlet.worker.cas preload.moonlet.worker.core "
         "preload.moonlet.worker.drain preload.moonlet.worker.figures preload.moonlet.worker.messages "
         "preload.moonlet.worker.passing preload.moonlet.worker.redis_store preload.moonlet.worker.redis_value "
         "preload.moonlet.worker.show preload.moonlet.worker.store preload.moonlet.worker.store.core "
         "preload.moonlet.worker.topics "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *missing = missing_without(cases[i].without);
        assert_string_equal(missing, cases[i].missing);
        free(missing);
    }
}

static void test_a_module_that_is_not_on_the_list_cannot_be_required(void **state)
{
    (void)state;
    struct moonlet *m = open_box(MOONLET_UNTRUSTED);
    assert_int_equal(
        run_string(
            m,
            "for _, name in ipairs {'moonlet.repl', 'moonlet.repl.session', 'moonlet.repl.editor', 'moonlet.net', 'moonlet.fs',\n"
            "  'moonlet.net.core', 'moonlet.patch', 'moonlet.test', 'moonlet.test.core', 'moonlet.blocking.core',\n"
            "  'io', 'socket', 'lfs'} do\n"
            "  local ok, message = pcall(require, name)\n"
            "  assert(not ok and message:find('not found', 1, true), name)\n"
            "end\n"
            "local moonlet = require 'moonlet'\n"
            "for _, name in ipairs {'net', 'patch', 'test'} do\n"
            "  assert(not pcall(function() return moonlet[name] end), name)\n"
            "end\n"
            "assert(moonlet.task.sleep and moonlet.task.blocking == nil)\n"
            "package.preload.mine = function(...) return {...} end\n"
            "assert(require 'mine'[1] == 'mine')\n"),
        0);
    moonlet_close(m);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_reached_that_is_not_on_the_list),
        cmocka_unit_test(test_the_walk_finds_what_is_reached_in_odd_ways),
        cmocka_unit_test(test_without_one_part_all_others_are_whole),
        cmocka_unit_test(test_a_module_that_is_not_on_the_list_cannot_be_required),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
