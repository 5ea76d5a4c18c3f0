/*
 * The public header as a host uses it from C: tasks of C functions, waiting at any depth, promises
 * kept by other threads, steps inside a loop of the host's, limits for scripts nobody has read; and
 * every wrong use, which is an error with a text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "host_fixture.h"

#include <errno.h>
#include <ev.h>
#include <lauxlib.h>
#include <lua.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct host {
    struct moonlet *m;
    int reports;
    char report[1024];
    double clock;
};

static void collect(void *context, const char *text)
{
    struct host *host = context;
    host->reports++;
    snprintf(host->report, sizeof host->report, "%s", text);
}

static double read_clock(void *context)
{
    return ((struct host *)context)->clock;
}

static struct host open_host(struct moonlet_options options)
{
    return (struct host){.m = open_runtime(options)};
}

/* With reports told to the host, which must stay where it is. */
static void open_telling(struct host *host, struct moonlet_options options)
{
    *host = (struct host){0};
    options.report = collect;
    options.report_context = host;
    if (options.clock != NULL)
        options.clock_context = host;
    host->m = open_runtime(options);
}

/* ---- tasks ---- */

static int double_it(struct moonlet *m, void *argument)
{
    int *value = argument;
    for (int i = 0; i < 3; i++)
        assert_int_equal(moonlet_yield(m), 0);
    assert_int_equal(moonlet_sleep(m, 0.001), 0);
    return *value *= 2;
}

static void test_c_functions_run_as_tasks(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct moonlet_task *tasks[10];
    int values[10], result;
    for (int i = 0; i < 10; i++) {
        values[i] = i;
        assert_int_equal(moonlet_spawn(host.m, "doubler", double_it, &values[i], &tasks[i]), 0);
    }
    assert_int_equal(moonlet_join(tasks[0], 0, NULL), -MOONLET_ENOTASK);
    assert_int_equal(moonlet_run(host.m), 0);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(moonlet_join(tasks[i], -1, &result), 0);
        assert_int_equal(result, 2 * i);
        moonlet_release(tasks[i]);
    }
    assert_int_equal(moonlet_close(host.m), 0);
}

static int sleep_long(struct moonlet *m, void *argument)
{
    *(int *)argument = moonlet_sleep(m, 100);
    return 7;
}

struct join_case {
    struct moonlet_task *task;
    int seen;
};

static int join_and_cancel(struct moonlet *m, void *argument)
{
    struct join_case *c = argument;
    int result = 0;
    assert_int_equal(moonlet_yield(m), 0);
    assert_int_equal(moonlet_join(c->task, 0.001, &result), -ETIMEDOUT);
    assert_int_equal(moonlet_join(c->task, 0, &result), -ETIMEDOUT);
    assert_int_equal(moonlet_cancel(c->task), 0);
    assert_int_equal(moonlet_join(c->task, PATIENCE, &result), -ECANCELED);
    return 0;
}

static void test_a_cancelled_task_is_told_by_its_wait(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct join_case c = {0};
    assert_int_equal(moonlet_spawn(host.m, NULL, sleep_long, &c.seen, &c.task), 0);
    assert_int_equal(moonlet_spawn(host.m, NULL, join_and_cancel, &c, NULL), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    assert_int_equal(c.seen, -ECANCELED);
    moonlet_release(c.task);
    moonlet_close(host.m);
}

static void test_lua_functions_are_spawned_from_c(void **state)
{
    (void)state;
    struct host host = {0};
    struct moonlet_task *good, *bad;
    open_telling(&host, (struct moonlet_options){0});
    lua_State *L = moonlet_lua(host.m);
    assert_int_equal(
        luaL_loadstring(L, "local a, b = ... require 'moonlet.task'.sleep(0.001) sum = a + b"), 0);
    lua_pushinteger(L, 3);
    lua_pushinteger(L, 4);
    assert_int_equal(moonlet_spawn_lua(host.m, L, 2, &good), 0);
    assert_int_equal(luaL_loadstring(L, "error('no luck')"), 0);
    assert_int_equal(moonlet_spawn_lua(host.m, L, 0, &bad), 0);
    assert_int_equal(moonlet_spawn_lua(host.m, L, 5, NULL), -EINVAL);
    assert_int_equal(lua_gettop(L), 0);
    assert_int_equal(moonlet_run(host.m), 1);
    assert_int_equal(moonlet_join(good, 0, NULL), 0);
    assert_int_equal(moonlet_join(bad, 0, NULL), -MOONLET_EFAILED);
    assert_non_null(strstr(host.report, "no luck"));
    lua_getglobal(L, "sum");
    assert_int_equal(lua_tointeger(L, -1), 7);
    lua_pop(L, 1);
    moonlet_release(good);
    moonlet_release(bad);
    moonlet_close(host.m);
}

/* A C function of the host's that Lua calls, which waits three frames deep. */
static int deep(struct moonlet *m, int depth)
{
    volatile char frame[100] = {0};
    return depth > 0 ? deep(m, depth - 1) + frame[0] : moonlet_sleep(m, 0.01);
}

static int l_wait(lua_State *L)
{
    lua_pushinteger(L, deep(moonlet_of(L), 3));
    return 1;
}

static void test_c_called_by_lua_waits_at_any_depth(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    lua_register(moonlet_lua(host.m), "wait", l_wait);
    assert_int_equal(
        run_string(host.m,
                   "local task = require 'moonlet.task'\n"
                   "local start, list = task.now(), {}\n"
                   "for i = 1, 20 do list[i] = task.spawn(function() return wait() end) end\n"
                   "for i = 1, 20 do local ok, zero = list[i]:join() assert(ok and zero == 0) end\n"
                   "assert(task.now() - start < 0.15)\n"
                   "local after\n"
                   "local t = task.spawn({quiet = true}, function() wait() after = true end)\n"
                   "task.yield() t:cancel()\n"
                   "assert(select(3, t:join()) == 'ECANCELED' and not after)\n"
                   "assert(select(3, task.timeout(0.001, wait)) == 'EDEADLINE')\n"
                   "table.sort({3, 1, 2}, function(a, b) wait() return a < b end)\n"),
        0);
    moonlet_close(host.m);
}

static int wait_for_pipe(struct moonlet *m, void *argument)
{
    int *fds = argument;
    char byte;
    assert_int_equal(moonlet_wait_fd(m, fds[0], MOONLET_READABLE, 0), -ETIMEDOUT);
    assert_int_equal(moonlet_wait_fd(m, fds[0], MOONLET_READABLE, 0.001), -ETIMEDOUT);
    assert_int_equal(moonlet_wait_fd(m, fds[1], MOONLET_READABLE | MOONLET_WRITABLE, -1),
                     MOONLET_WRITABLE);
    assert_int_equal(moonlet_wait_fd(m, 9999, MOONLET_READABLE, -1), -EBADF);
    assert_int_equal(moonlet_wait_fd(m, -1, MOONLET_READABLE, 0.001), -EBADF);
    assert_int_equal(moonlet_wait_fd(m, fds[0], 0, -1), -EINVAL);
    assert_int_equal(moonlet_wait_fd(m, fds[0], MOONLET_READABLE, -1), MOONLET_READABLE);
    assert_int_equal(read(fds[0], &byte, 1), 1);
    return byte;
}

static int write_later(struct moonlet *m, void *argument)
{
    int *fds = argument;
    moonlet_sleep(m, 0.02);
    return (int)write(fds[1], "x", 1);
}

static void test_a_descriptor_is_waited_for(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct moonlet_task *task;
    int fds[2], result;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(moonlet_spawn(host.m, NULL, wait_for_pipe, fds, &task), 0);
    assert_int_equal(moonlet_spawn(host.m, NULL, write_later, fds, NULL), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    assert_int_equal(moonlet_join(task, 0, &result), 0);
    assert_int_equal(result, 'x');
    moonlet_release(task);
    moonlet_close(host.m);
    close(fds[0]);
    close(fds[1]);
}

/* ---- promises ---- */

/* After a while: the task waits by then, as a rule; if not, the value is there when it asks. */
static void *keep_elsewhere(void *argument)
{
    struct timespec span = {0, 20000000};
    nanosleep(&span, NULL);
    assert_int_equal(moonlet_promise_keep(argument, argument), 0);
    assert_int_equal(moonlet_promise_keep(argument, NULL), -EALREADY);
    moonlet_promise_release(argument);
    return NULL;
}

static int await_thread(struct moonlet *m, void *argument)
{
    struct moonlet_promise *promise = moonlet_promise_new(m);
    pthread_t thread;
    void *value = NULL;
    (void)argument;
    assert_int_equal(moonlet_promise_await(promise, 0, &value), -ETIMEDOUT);
    assert_int_equal(moonlet_promise_await(promise, 0.001, &value), -ETIMEDOUT);
    pthread_create(&thread, NULL, keep_elsewhere, moonlet_promise_retain(promise));
    assert_int_equal(moonlet_promise_await(promise, PATIENCE, &value), 0);
    assert_ptr_equal(value, promise);
    assert_int_equal(moonlet_promise_await(promise, 0, &value), 0);
    moonlet_promise_release(promise);
    pthread_join(thread, NULL);
    return 0;
}

static void test_promises_are_kept_by_other_threads(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    for (int i = 0; i < 10; i++)
        assert_int_equal(moonlet_spawn(host.m, NULL, await_thread, NULL, NULL), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    moonlet_close(host.m);
}

static int await_given(struct moonlet *m, void *argument)
{
    void *value;
    (void)m;
    return moonlet_promise_await(argument, PATIENCE, &value);
}

static void test_a_promise_outlives_its_runtime(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct moonlet_promise *promise = moonlet_promise_new(host.m);
    assert_int_equal(moonlet_spawn(host.m, NULL, await_given, promise, NULL), 0);
    assert_int_equal(moonlet_step(host.m, 0, 1), 1);
    assert_int_equal(moonlet_close(host.m), 0);
    assert_int_equal(moonlet_promise_keep(promise, NULL), 0);
    assert_int_equal(moonlet_promise_await(promise, 0, NULL), -MOONLET_ECLOSED);
    moonlet_promise_release(promise);
}

/* ---- channels ---- */

struct pipeline {
    struct moonlet_channel *channel;
    long sum;
    int ended;
};

static int produce(struct moonlet *m, void *argument)
{
    struct pipeline *p = argument;
    (void)m;
    for (long i = 1; i <= 1000; i++)
        assert_int_equal(moonlet_channel_put(p->channel, (void *)i, -1), 0);
    moonlet_channel_close(p->channel);
    return moonlet_channel_put(p->channel, NULL, -1);
}

static int consume(struct moonlet *m, void *argument)
{
    struct pipeline *p = argument;
    void *value;
    int error;
    (void)m;
    while ((error = moonlet_channel_get(p->channel, &value, -1)) == 0)
        p->sum += (long)value;
    p->ended++;
    return error;
}

static void test_channels_carry_pointers_in_order(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct pipeline p = {.channel = moonlet_channel_new(host.m, 3)};
    struct moonlet_task *producer;
    int result;
    assert_null(moonlet_channel_new(host.m, 0));
    for (int i = 0; i < 3; i++)
        assert_int_equal(moonlet_spawn(host.m, NULL, consume, &p, NULL), 0);
    assert_int_equal(moonlet_spawn(host.m, NULL, produce, &p, &producer), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    assert_int_equal(p.sum, 500500);
    assert_int_equal(p.ended, 3);
    assert_int_equal(moonlet_join(producer, 0, &result), 0);
    assert_int_equal(result, -MOONLET_ECLOSED);
    moonlet_release(producer);
    moonlet_channel_free(p.channel);
    moonlet_close(host.m);
}

static int try_channel(struct moonlet *m, void *argument)
{
    struct pipeline *p = argument;
    void *value;
    assert_int_equal(moonlet_channel_get(p->channel, &value, 0), -ETIMEDOUT);
    assert_int_equal(moonlet_channel_put(p->channel, p, 0), 0);
    assert_int_equal(moonlet_channel_put(p->channel, p, 0), -ETIMEDOUT);
    assert_int_equal(moonlet_channel_put(p->channel, p, 0.001), -ETIMEDOUT);
    assert_int_equal(moonlet_channel_get(p->channel, &value, 0), 0);
    assert_int_equal(moonlet_channel_get(p->channel, &value, 0.001), -ETIMEDOUT);
    return moonlet_yield(m);
}

static void test_channels_keep_to_limits(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct pipeline p = {.channel = moonlet_channel_new(host.m, 1)};
    assert_int_equal(moonlet_spawn(host.m, NULL, try_channel, &p, NULL), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    moonlet_channel_free(p.channel);
    moonlet_close(host.m);
}

/* ---- inside a loop of the host's ---- */

static const char ticking[] =
    "local task = require 'moonlet.task'\n"
    "count = 0\n"
    "task.every(0.005, function() count = count + 1 return count < 10 end)\n";

static long global(struct moonlet *m, const char *name)
{
    lua_State *L = moonlet_lua(m);
    lua_getglobal(L, name);
    long value = (long)lua_tointeger(L, -1);
    lua_pop(L, 1);
    return value;
}

static void test_steps_run_a_program(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    int steps = 0, left;
    start_string(host.m,
                 "local t = require 'moonlet.task' for i = 1, 5 do t.sleep(0.002) n = i end");
    while ((left = moonlet_step(host.m, 1, 1)) > 0)
        steps++;
    assert_int_equal(left, 0);
    assert_int_equal(global(host.m, "n"), 5);
    assert_true(steps >= 4);
    assert_int_equal(moonlet_step(host.m, 0, 0), 0);
    moonlet_close(host.m);
}

static void test_a_step_is_bounded(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    const char *busy =
        "local task = require 'moonlet.task'\n"
        "for i = 1, 50 do task.spawn(function() while true do for j = 1, 2000 do end task.yield() end end) end";
    start_string(host.m, busy);
    double start = now();
    for (int i = 0; i < 10; i++)
        assert_int_equal(moonlet_step(host.m, 1, 0.002), 1);
    double span = now() - start;
    assert_true(span >= 0.015 && span < 5);
    moonlet_close(host.m);
}

/* Computes for 2 ms in each turn. */
static int take_turns(struct moonlet *m, void *turns)
{
    while (moonlet_yield(m) == 0) {
        for (double end = now() + 0.002; now() < end;)
            continue;
        ++*(int *)turns;
    }
    return 0;
}

/* The clock was looked at after 64 switches only: a step of 10 ms took 250 ms. */
static void test_a_step_ends_after_the_turn_in_which_its_time_is_over(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    int turns = 0;
    assert_int_equal(moonlet_spawn(host.m, "one", take_turns, &turns, NULL), 0);
    assert_int_equal(moonlet_spawn(host.m, "other", take_turns, &turns, NULL), 0);
    for (int i = 0; i < 10; i++) {
        int before = turns;
        assert_int_equal(moonlet_step(host.m, 0, 0.001), 1);
        assert_true(turns - before <= 1);
    }
    assert_true(turns >= 5);
    moonlet_close(host.m);
}

static bool is_ten(void *context)
{
    return global(context, "n") >= 10;
}

static bool never(void *context)
{
    (void)context;
    return false;
}

static void test_run_until(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    start_string(host.m, "n = 0 while n < 20 do require 'moonlet.task'.sleep(0.001) n = n + 1 end");
    assert_int_equal(moonlet_run_until(host.m, is_ten, host.m, PATIENCE), 1);
    assert_true(global(host.m, "n") < 20);
    assert_int_equal(moonlet_run_until(host.m, never, NULL, 0.0001), -ETIMEDOUT);
    assert_int_equal(moonlet_run_until(host.m, never, NULL, PATIENCE), 0);
    moonlet_close(host.m);
}

/* Steps only when the descriptor says so; a second without that fails. */
static int drive(struct moonlet *m, int limit)
{
    struct pollfd ready = {.fd = moonlet_fd(m), .events = POLLIN};
    int steps = 0, left = 1;
    assert_true(ready.fd >= 0);
    while (left > 0 && steps < limit) {
        assert_int_equal(poll(&ready, 1, (int)(PATIENCE * 1000)), 1);
        left = moonlet_step(m, 0, 1);
        steps++;
    }
    assert_int_equal(left, 0);
    return steps;
}

static void test_the_descriptor_tells_of_tasks_timers_and_descriptors(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    start_string(
        host.m,
        "local task, net = require 'moonlet.task', require 'moonlet.net'\n"
        "local here, there = net.pair()\n"
        "task.spawn(function() for line in there:lines() do there:write(line, '\\n') end end)\n"
        "for i = 1, 10 do here:write(i, '\\n') assert(here:read() == tostring(i)) task.sleep(0.002) task.yield() end\n"
        "here:close()\n");
    int steps = drive(host.m, 1000);
    assert_true(steps >= 10 && steps < 200);
    struct pollfd ready = {.fd = moonlet_fd(host.m), .events = POLLIN};
    moonlet_step(host.m, 0, 0);
    assert_int_equal(poll(&ready, 1, 0), 0);
    moonlet_close(host.m);
}

static void test_the_descriptor_tells_of_what_comes_from_outside(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct pollfd ready = {.fd = moonlet_fd(host.m), .events = POLLIN};
    struct moonlet_promise *promise = moonlet_promise_new(host.m);
    pthread_t thread;
    assert_int_equal(poll(&ready, 1, 0), 0);
    assert_int_equal(moonlet_spawn(host.m, NULL, await_given, promise, NULL), 0);
    assert_int_equal(poll(&ready, 1, 0), 1);
    assert_int_equal(moonlet_step(host.m, 0, 1), 1);
    assert_int_equal(poll(&ready, 1, 0), 0);
    pthread_create(&thread, NULL, keep_elsewhere, moonlet_promise_retain(promise));
    assert_int_equal(poll(&ready, 1, (int)(PATIENCE * 1000)), 1);
    int left = 1;
    while (left > 0)
        left = moonlet_step(host.m, PATIENCE, 1);
    assert_int_equal(poll(&ready, 1, 0), 0);
    pthread_join(thread, NULL);
    moonlet_promise_release(promise);
    moonlet_close(host.m);
}

static void stop_when_done(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    if (global(timer->data, "n") >= 5)
        ev_break(loop, EVBREAK_ALL);
}

static void test_a_loop_of_libev_runs_the_tasks(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer timer;
    start_string(host.m, "for i = 1, 1000 do require 'moonlet.task'.sleep(0.002) n = i end");
    assert_int_equal(moonlet_attach(host.m, loop, 0.01), 0);
    ev_timer_init(&timer, stop_when_done, 0.005, 0.005);
    timer.data = host.m;
    ev_timer_start(loop, &timer);
    ev_run(loop, 0);
    assert_true(global(host.m, "n") >= 5);
    assert_int_equal(moonlet_attach(host.m, NULL, 0), 0);
    moonlet_close(host.m);
    ev_loop_destroy(loop);
}

/*
 * A socket that was sent away and closed here goes on reporting to libev's epoll under a number
 * that nobody watches. libev then closes that epoll for a new one, and the runtime's descriptor,
 * which watched the old one, was deaf from then on.
 */
static const char renewing[] = "local net, task = require 'moonlet.net', require 'moonlet.task'\n"
                               "local l = assert(net.listen('127.0.0.1', 0))\n"
                               "port = l:address().port\n"
                               "local conn = assert(l:accept())\n"
                               "local a, b = net.pair()\n"
                               "local p, q = net.pair()\n"
                               "task.spawn(function() a:read_some() end)\n"
                               "task.yield()\n"
                               "b:write 'x'\n"
                               "task.sleep(0.01)\n"
                               "n = 1\n"
                               "assert(conn:read_some())\n"
                               "assert(p:send_fd(a, '!'))\n"
                               "a:close()\n"
                               "local file <close> = assert(io.open '/dev/null')\n"
                               "b:write 'y'\n"
                               "task.sleep(0.01)\n"
                               "n = 2\n"
                               "assert(conn:read_some())\n"
                               "n = 3\n"
                               "for _, s in ipairs {b, p, q, conn, l} do s:close() end\n";

/* Steps, as the descriptor tells, until the script has come so far. (To ask for the descriptor
 * brings it up to date.) */
static void step_until(struct moonlet *m, int fd, long n)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    while (global(m, "n") < n) {
        assert_int_equal(poll(&ready, 1, (int)(PATIENCE * 1000)), 1);
        assert_true(moonlet_step(m, 0, 1) >= 0);
    }
}

/* Connects to the port that the script tells, and steps until that waits to be told to go on: the
 * connection. */
static int connect_to_renewing(struct moonlet *m)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int connection = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(moonlet_step(m, 0, 1), 1);
    address.sin_port = htons((uint16_t)global(m, "port"));
    assert_int_equal(connect(connection, (struct sockaddr *)&address, sizeof address), 0);
    step_until(m, moonlet_fd(m), 1);
    return connection;
}

static void go_on(int connection)
{
    assert_int_equal(write(connection, "x", 1), 1);
}

static void test_the_descriptor_stays_alive_when_libev_makes_its_epoll_anew(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    start_string(host.m, renewing);
    int fd = moonlet_fd(host.m);
    int connection = connect_to_renewing(host.m);
    go_on(connection);
    step_until(host.m, fd, 2);
    go_on(connection);
    step_until(host.m, fd, 3);
    assert_int_equal(moonlet_fd(host.m), fd);
    close(connection);
    moonlet_close(host.m);
}

/* Lowers the limit to the descriptors that are open: whoever wants one more is refused. */
static struct rlimit forbid_descriptors(void)
{
    struct rlimit before, now;
    getrlimit(RLIMIT_NOFILE, &before);
    now = before;
    int next = dup(0);
    close(next);
    now.rlim_cur = (rlim_t)next;
    setrlimit(RLIMIT_NOFILE, &now);
    return before;
}

static void test_nor_does_it_need_a_free_descriptor_for_that(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    start_string(host.m, renewing);
    int fd = moonlet_fd(host.m);
    int connection = connect_to_renewing(host.m);
    struct rlimit before = forbid_descriptors();
    go_on(connection);
    step_until(host.m, fd, 2);
    go_on(connection);
    step_until(host.m, fd, 3);
    setrlimit(RLIMIT_NOFILE, &before);
    close(connection);
    moonlet_close(host.m);
}

struct renewed {
    struct moonlet *m;
    int connection;
    bool has_gone_on;
};

static void go_on_or_stop(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)events;
    struct renewed *renewed = timer->data;
    long n = global(renewed->m, "n");
    if (n == 2 && !renewed->has_gone_on)
        go_on(renewed->connection);
    renewed->has_gone_on = n == 2;
    if (n == 3)
        ev_break(loop, EVBREAK_ALL);
}

static void test_an_attached_runtime_stays_alive_then_too(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    ev_timer clock;
    start_string(host.m, renewing);
    int connection = connect_to_renewing(host.m);
    assert_int_equal(moonlet_attach(host.m, loop, 0.01), 0);
    go_on(connection);
    ev_timer_init(&clock, go_on_or_stop, 0.005, 0.005);
    clock.data = &(struct renewed){.m = host.m, .connection = connection};
    ev_timer_start(loop, &clock);
    ev_run(loop, 0);
    assert_int_equal(global(host.m, "n"), 3);
    close(connection);
    moonlet_close(host.m);
    ev_loop_destroy(loop);
}

static void test_tasks_follow_the_hosts_clock(void **state)
{
    (void)state;
    struct host host = {0};
    open_telling(&host, (struct moonlet_options){.clock = read_clock});
    start_string(host.m, ticking);
    for (int i = 0; i < 100; i++)
        assert_int_equal(moonlet_step(host.m, 0, 1), 1);
    assert_int_equal(global(host.m, "count"), 0); /* paused */
    for (int i = 0; i < 5; i++) {
        host.clock += 0.005;
        moonlet_step(host.m, 0, 1);
    }
    assert_int_equal(global(host.m, "count"), 5);
    moonlet_close(host.m);
}

/* ---- limits ---- */

static void test_memory_is_limited(void **state)
{
    (void)state;
    struct host host = {0};
    open_telling(&host, (struct moonlet_options){.memory_limit = 8 << 20});
    assert_int_equal(
        run_string(
            host.m,
            "local task = require 'moonlet.task'\n"
            "local t = task.spawn({quiet = true}, function() local s = {} while true do s[#s + 1] = ('x'):rep(10000) .. #s end end)\n"
            "local ok, message = t:join()\n"
            "assert(not ok and tostring(message):find 'not enough memory')\n"
            "t = nil collectgarbage()\n"
            "assert(#('y'):rep(1 << 20) == 1 << 20)\n"),
        0);
    moonlet_close(host.m);
}

static void test_computing_is_limited(void **state)
{
    (void)state;
    static const char *const endless[] = {
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "require 'moonlet.task'.shield(1e9, function() while true do pcall(function() while true do end end) end end)",
        "local x <close> = setmetatable({}, {__close = function() while true do end end}) while true do end",
        "coroutine.wrap(function() while true do end end)()",
        "while true do pcall(coroutine.wrap(function() while true do end end)) end",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        struct host host = {0};
        char source[512];
        open_telling(&host, (struct moonlet_options){.instruction_limit = 100000});
        snprintf(
            source, sizeof source,
            "local task = require 'moonlet.task'\n"
            "local other = task.spawn(function() for i = 1, 100 do for j = 1, 5000 do end task.sleep(0) end return 5 end)\n"
            "local t = task.spawn({quiet = true}, function() %s end)\n"
            "t:join() assert(t:status() == 'cancelled')\n"
            "assert(select(2, other:join()) == 5)\n",
            endless[i]);
        assert_int_equal(run_string(host.m, source), 1);
        assert_int_equal(host.reports, 1);
        assert_non_null(strstr(host.report, "more than 100000 instructions"));
        moonlet_close(host.m);
    }
}

static void test_untrusted_scripts_have_no_way_out(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){.without = MOONLET_UNTRUSTED});
    assert_int_equal(
        run_string(
            host.m,
            "assert(io == nil and dofile == nil and loadfile == nil and package.loadlib == nil)\n"
            "for name in pairs(os) do assert(({clock = 1, date = 1, difftime = 1, time = 1})[name], name) end\n"
            "for name in pairs(debug) do assert(name == 'traceback', name) end\n"
            "assert(not pcall(require, 'moonlet.net') and not pcall(require, 'moonlet.net.core'))\n"
            "assert(not pcall(require, 'moonlet.patch') and not pcall(require, 'socket') and not pcall(require, 'io_test'))\n"
            "assert(require 'os' == os and not pcall(function() return require 'io'.open('/etc/passwd') end))\n"
            "assert(require 'moonlet.task'.blocking == nil)\n"
            "assert(load(string.dump(function() end)) == nil and load(string.dump(function() end), 'x', 'b') == nil)\n"
            "assert(load 'return 1'() == 1)\n"
            "require 'moonlet.task'.sleep(0.001)\n"),
        0);
    moonlet_close(host.m);
}

static void test_buffers_are_loaded(void **state)
{
    (void)state;
    struct host host = {0};
    open_telling(&host, (struct moonlet_options){0});
    static const char source[] = "local s = 'a\0b' assert(#s == 3) n = 1";
    assert_int_equal(moonlet_load_buffer(host.m, source, sizeof source - 1, "=buffer"), 0);
    assert_int_equal(moonlet_run(host.m), 0);
    assert_int_equal(global(host.m, "n"), 1);
    moonlet_close(host.m);
}

struct warned {
    char text[256];
};

static void note_warning(void *context, const char *text, int to_be_continued)
{
    struct warned *warned = context;
    (void)to_be_continued;
    strncat(warned->text, text, sizeof warned->text - strlen(warned->text) - 1);
}

static void test_warnings_go_to_the_host(void **state)
{
    (void)state;
    struct warned warned = {{0}};
    struct host host =
        open_host((struct moonlet_options){.warn = note_warning, .warn_context = &warned});
    assert_int_equal(run_string(host.m, "warn('one ', 'two')"), 0);
    assert_string_equal(warned.text, "one two");
    moonlet_close(host.m);
}

/* ---- wrong use ---- */

static int misuse_in_task(struct moonlet *m, void *argument)
{
    (void)argument;
    assert_int_equal(moonlet_run(m), -MOONLET_EINTASK);
    assert_int_equal(moonlet_start(m), -MOONLET_EINTASK);
    assert_int_equal(moonlet_step(m, 0, 0), -MOONLET_EINTASK);
    assert_int_equal(moonlet_run_until(m, never, NULL, 0), -MOONLET_EINTASK);
    assert_int_equal(moonlet_close(m), -MOONLET_EINTASK);
    return 0;
}

static void *misuse_in_thread(void *argument)
{
    struct moonlet *m = argument;
    assert_int_equal(moonlet_run(m), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_step(m, 0, 0), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_sleep(m, 1), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_spawn(m, NULL, misuse_in_task, NULL, NULL), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_load_string(m, "", "="), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_fd(m), -MOONLET_ETHREAD);
    assert_int_equal(moonlet_close(m), -MOONLET_ETHREAD);
    assert_null(moonlet_lua(m));
    assert_null(moonlet_promise_new(m));
    assert_null(moonlet_channel_new(m, 1));
    return NULL;
}

static int l_wait_in_finalizer(lua_State *L)
{
    struct moonlet *m = moonlet_of(L);
    assert_int_equal(moonlet_sleep(m, 1), -MOONLET_ENOWAIT);
    assert_int_equal(moonlet_run(m), -MOONLET_EINTASK);
    lua_pushboolean(L, 1);
    lua_setglobal(L, "finalized");
    return 0;
}

static void test_wrong_use_is_an_error(void **state)
{
    (void)state;
    struct host host = open_host((struct moonlet_options){0});
    struct moonlet *m = host.m;
    pthread_t thread;
    assert_int_equal(moonlet_sleep(m, 1), -MOONLET_ENOTASK);
    assert_int_equal(moonlet_yield(m), -MOONLET_ENOTASK);
    assert_int_equal(moonlet_wait_fd(m, 0, MOONLET_READABLE, 1), -MOONLET_ENOTASK);
    assert_int_equal(moonlet_spawn(m, NULL, misuse_in_task, NULL, NULL), 0);
    lua_register(moonlet_lua(m), "misuse", l_wait_in_finalizer);
    assert_int_equal(
        run_string(
            m,
            "setmetatable({}, {__gc = misuse}) collectgarbage() assert(finalized) finalized = nil\n"
            "require 'moonlet.task'.no_switch(misuse) assert(finalized)"),
        0);
    pthread_create(&thread, NULL, misuse_in_thread, m);
    pthread_join(thread, NULL);
    assert_int_equal(moonlet_close(m), 0);
    assert_int_equal(moonlet_close(m), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_run(m), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_step(m, 0, 0), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_sleep(m, 1), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_spawn(m, NULL, misuse_in_task, NULL, NULL), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_load_string(m, "", "="), -MOONLET_ECLOSED);
    assert_int_equal(moonlet_close(NULL), 0);
    assert_string_equal(moonlet_error_text(-MOONLET_ENOTASK), "only a task can wait");
    assert_string_equal(moonlet_error_text(-MOONLET_ETHREAD),
                        "called from another thread than the runtime's");
    assert_string_equal(moonlet_error_text(-ETIMEDOUT), "timeout");
}

static void test_closing_at_any_moment(void **state)
{
    (void)state;
    for (int steps = 0; steps < 20; steps++) {
        struct host host = open_host((struct moonlet_options){0});
        struct moonlet_task *task;
        int seen = 1;
        assert_int_equal(moonlet_spawn(host.m, NULL, sleep_long, &seen, &task), 0);
        start_string(
            host.m,
            "local task, channel = require 'moonlet.task', require 'moonlet.channel'\n"
            "local c = channel.new()\n"
            "for i = 1, 5 do task.spawn(function() local x <close> = setmetatable({}, {__close = function() task.yield() end}) c:get() end) end\n"
            "coroutine.wrap(function() task.sleep(10) end)()\n");
        for (int i = 0; i < steps; i++)
            moonlet_step(host.m, 0, 0);
        assert_int_equal(moonlet_close(host.m), 0);
        assert_int_equal(moonlet_join(task, 0, NULL), -MOONLET_ECLOSED);
        moonlet_release(task);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_c_functions_run_as_tasks),
        cmocka_unit_test(test_a_cancelled_task_is_told_by_its_wait),
        cmocka_unit_test(test_lua_functions_are_spawned_from_c),
        cmocka_unit_test(test_c_called_by_lua_waits_at_any_depth),
        cmocka_unit_test(test_a_descriptor_is_waited_for),
        cmocka_unit_test(test_promises_are_kept_by_other_threads),
        cmocka_unit_test(test_a_promise_outlives_its_runtime),
        cmocka_unit_test(test_channels_carry_pointers_in_order),
        cmocka_unit_test(test_channels_keep_to_limits),
        cmocka_unit_test(test_steps_run_a_program),
        cmocka_unit_test(test_a_step_is_bounded),
        cmocka_unit_test(test_a_step_ends_after_the_turn_in_which_its_time_is_over),
        cmocka_unit_test(test_run_until),
        cmocka_unit_test(test_the_descriptor_tells_of_tasks_timers_and_descriptors),
        cmocka_unit_test(test_the_descriptor_tells_of_what_comes_from_outside),
        cmocka_unit_test(test_a_loop_of_libev_runs_the_tasks),
        cmocka_unit_test(test_the_descriptor_stays_alive_when_libev_makes_its_epoll_anew),
        cmocka_unit_test(test_nor_does_it_need_a_free_descriptor_for_that),
        cmocka_unit_test(test_an_attached_runtime_stays_alive_then_too),
        cmocka_unit_test(test_tasks_follow_the_hosts_clock),
        cmocka_unit_test(test_memory_is_limited),
        cmocka_unit_test(test_computing_is_limited),
        cmocka_unit_test(test_untrusted_scripts_have_no_way_out),
        cmocka_unit_test(test_buffers_are_loaded),
        cmocka_unit_test(test_warnings_go_to_the_host),
        cmocka_unit_test(test_wrong_use_is_an_error),
        cmocka_unit_test(test_closing_at_any_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
