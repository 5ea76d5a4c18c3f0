#include "vm/hang.h"

#include "bindings/inspect/inspector.h"
#include "vm/moonlet_state.h"
#include "vm/native_stack.h"
#include "vm/poke.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* How long the thread has to tell its backtrace. */
#define PATIENCE (20 * ML_MILLISECOND)

static void describe(struct ml_hang *hang, void *const *frames, int count)
{
    hang->count = count < ML_HANG_FRAMES ? count : ML_HANG_FRAMES;
    for (int i = 0; i < hang->count; i++)
        ml_native_stack_describe(frames[i], hang->frames[i], sizeof hang->frames[i]);
}

/* Reads the last word of /proc/self/task/TID/syscall, the address at which the thread goes on, if
 * it waits in the kernel. NULL: it does not, or the kernel does not tell. */
static void *waiting_address(int thread)
{
    char path[64], line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/syscall", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = fd >= 0 ? read(fd, line, sizeof line - 1) : -1;
    if (fd >= 0)
        close(fd);
    line[size > 0 ? size : 0] = '\0';
    const char *last = strrchr(line, ' ');
    return last != NULL ? (void *)strtoull(last, NULL, 16)
                        : NULL; // NOLINT(performance-no-int-to-ptr)
}

/* The thread waits in the kernel: a signal could cut its call short, so it gets none. */
static void look_at_call(struct ml_hang *hang, int thread)
{
    void *address = waiting_address(thread);
    if (address == NULL)
        return;
    void *call = (char *)address - 1;
    ml_native_stack_describe(call, hang->call, sizeof hang->call);
    describe(hang, &call, 1);
}

int ml_hang_look(struct ml_lua *lua, void *result)
{
    struct moonlet *m = ml_moonlet_of(lua);
    struct ml_hang *hang = result;
    void *frames[ML_HANG_FRAMES];
    if (!m->has_pokes)
        return 0;
    int count = ml_poke_backtrace(m, frames, ML_HANG_FRAMES, ml_clock_now() + PATIENCE);
    hang->computes = count >= 0;
    if (count > 0)
        describe(hang, frames, count);
    else if (count < 0)
        look_at_call(hang, m->poke.thread);
    return 0;
}
