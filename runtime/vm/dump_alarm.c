#include "vm/dump_alarm.h"

#include "bindings/core/lua_strand.h"
#include "bindings/core/lua_task.h"
#include "bindings/core/source_line.h"
#include "vm/moonlet_state.h"
#include "vm/native_stack.h"
#include "vm/overrun_report.h"
#include "vm/poke.h"

#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* ---- the timer: calls of the kernel, since timer_create() of libc may allocate ---- */

/* The number of a new timer plus 1; 0: there is none. */
static int new_timer(const struct moonlet *m)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = m->poke.number};
    int timer;
    event.sigev_notify_thread_id = m->poke.thread;
    return syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0 ? timer + 1 : 0;
}

static void set_timer(int timer, ml_time span)
{
    struct itimerspec when = {.it_value = {.tv_nsec = span}};
    syscall(SYS_timer_settime, timer - 1, 0, &when, NULL);
}

void ml_dump_alarm_set(struct moonlet *m)
{
    struct ml_dump_alarm *alarm = &m->dump_alarm;
    int timer = atomic_load(&alarm->timer), none = 0;
    if (m->poke.number == 0 || m->options.report != NULL || m->lua.hub.life.is_forked)
        return;
    if (timer == 0 && (timer = new_timer(m)) == 0)
        return;
    alarm->spent_then = ml_poke_cpu_time(m);
    alarm->spent_last = -1;
    if (atomic_compare_exchange_strong(&alarm->timer, &none, timer) || none == timer)
        set_timer(timer, ML_DUMP_ALARM);
    else
        syscall(SYS_timer_delete, timer - 1); /* another thread was faster */
}

void ml_dump_alarm_end(struct moonlet *m)
{
    int timer = atomic_exchange(&m->dump_alarm.timer, 0);
    if (timer != 0 && !m->lua.hub.life.is_forked)
        syscall(SYS_timer_delete, timer - 1);
}

/* ---- in the handler: no allocation ---- */

/* What the terminal does not take at once is lost: it must not hold the thread. */
static void say(const char *text)
{
    struct pollfd file = {.fd = STDERR_FILENO, .events = POLLOUT};
    ssize_t written = poll(&file, 1, 0) > 0 ? write(STDERR_FILENO, text, strlen(text)) : 0;
    (void)written;
}

enum owner { OF_RUNTIME, OF_LIBC, OF_LIBRARY };

/* Whose the code is: moonlet's or Lua's, which is on the way to every C function, libc's, or
 * another library's. */
static enum owner owner_of(const void *address)
{
    Dl_info code, own, lua, libc;
    if (dladdr(address, &code) == 0)
        return OF_LIBRARY;
    bool is_own = dladdr((void *)ml_dump_alarm_ring, &own) != 0 && code.dli_fbase == own.dli_fbase;
    bool is_lua = dladdr((void *)lua_gettop, &lua) != 0 && code.dli_fbase == lua.dli_fbase;
    bool is_libc = dladdr((void *)strlen, &libc) != 0 && code.dli_fbase == libc.dli_fbase;
    return is_own || is_lua ? OF_RUNTIME : is_libc ? OF_LIBC : OF_LIBRARY;
}

/* The innermost frame of such code; -1: there is none. */
static int first_of(enum owner owner, void *const *frames, int count)
{
    int i = 0;
    while (i < count && owner_of(frames[i]) != owner)
        i++;
    return i < count ? i : -1;
}

/*
 * Whether the Lua state is at rest, so that its calls can be walked. It may be about to change in
 * an allocation for it: in libc's code that the runtime has called.
 */
static bool is_at_rest(void *const *frames, int count, bool waits)
{
    int library = first_of(OF_LIBRARY, frames, count), libc = first_of(OF_LIBC, frames, count);
    int runtime = first_of(OF_RUNTIME, frames, count);
    bool is_in_library = library >= 0 && (runtime < 0 || library < runtime);
    return count > 0 && (waits || is_in_library || libc != 0);
}

static void say_headline(const struct moonlet *m, void *const *frames, int count, bool waits)
{
    char name[128] = "a function of Lua's library or of moonlet's", text[320];
    int told = waits ? 0 : first_of(OF_LIBRARY, frames, count);
    if (told >= 0)
        ml_native_stack_describe(frames[told], name, sizeof name);
    snprintf(text, sizeof text, "%s: process %d does not answer: it %s in %s\n", m->options.name,
             (int)getpid(), waits ? "waits" : "computes", name);
    say(text);
}

/* Those of others, the innermost first: the runtime's are on the way to every C function. */
static void say_frames(void *const *frames, int count)
{
    enum { MOST = 20 };
    char name[128], text[160];
    for (int i = 0, told = 0; i < count && told < MOST; i++) {
        if (owner_of(frames[i]) == OF_RUNTIME)
            continue;
        ml_native_stack_describe(frames[i], name, sizeof name);
        snprintf(text, sizeof text, "\t%s\n", name);
        say(text);
        told++;
    }
}

static void say_task(const struct moonlet *m, struct ml_task *task, bool is_at_rest)
{
    uint32_t number = ml_lua_task_of(task)->source_line;
    const char *line =
        number == 0 ? "the start" : ml_source_line_text(&m->lua.source_lines, number);
    char text[ML_TASK_TEXT];
    snprintf(text, sizeof text, "called by task #%llu, spawned at %s\n",
             (unsigned long long)task->id, line);
    say(text);
    if (is_at_rest)
        ml_lua_frames_say(ml_thread_of(task->strand));
    say("The dump comes when it returns.\n");
}

/*
 * Whether the thread is kept by what it does now, and has not merely got no processor: it has
 * computed for half of the time, or it waits in the kernel, and has done nothing since the look
 * before.
 */
static bool is_kept(struct ml_dump_alarm *alarm, ml_time spent, bool waits)
{
    ml_time last = alarm->spent_last;
    alarm->spent_last = spent;
    if (waits)
        return last >= 0 && spent - last < ML_MILLISECOND;
    return spent - alarm->spent_then >= ML_DUMP_ALARM / 2;
}

void ml_dump_alarm_ring(struct moonlet *m, struct ml_task *task)
{
    void *frames[ML_NATIVE_FRAMES];
    struct ml_dump_alarm *alarm = &m->dump_alarm;
    int timer = atomic_load(&alarm->timer);
    if (timer == 0 || ml_clock_now() < m->dump_asked_at + ML_DUMP_ALARM)
        return;
    int count = ml_native_stack_here(frames, ML_NATIVE_FRAMES);
    bool waits = count > 0 && ml_native_stack_is_call(frames[0]);
    if (!is_kept(alarm, ml_poke_cpu_time(m), waits)) {
        set_timer(timer, ML_DUMP_ALARM / 5);
        return;
    }
    ml_dump_alarm_end(m);
    say_headline(m, frames, count, waits);
    say_frames(frames, count);
    say_task(m, task, is_at_rest(frames, count, waits));
}
