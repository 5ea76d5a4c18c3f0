/* A C library with fibers of its own, as Boost.Context and libco have: code that runs on stacks of
 * which moonlet knows nothing. */
#include <lauxlib.h>
#include <lua.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

enum { STACK_SIZE = 1 << 20 };

struct fiber {
    ucontext_t own, caller;
    void (*body)(struct fiber *self);
    lua_State *L;
    int fd;
    long result;
    pthread_mutex_t *mutex;
};

/* Where swapcontext() has no argument to carry it. */
static __thread struct fiber *running;

static void enter(void)
{
    struct fiber *self = running;
    self->body(self);
}

/* Runs the body on a stack of its own, above or below the caller's, to its end. */
static void run(struct fiber *fiber, int is_mapped)
{
    struct fiber *outer = running;
    void *stack = is_mapped ? mmap(NULL, STACK_SIZE, PROT_READ | PROT_WRITE,
                                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
                            : malloc(STACK_SIZE);
    getcontext(&fiber->own);
    fiber->own.uc_stack.ss_sp = stack;
    fiber->own.uc_stack.ss_size = STACK_SIZE;
    fiber->own.uc_link = &fiber->caller;
    makecontext(&fiber->own, enter, 0);
    running = fiber;
    swapcontext(&fiber->caller, &fiber->own);
    running = outer;
    if (is_mapped)
        munmap(stack, STACK_SIZE);
    else
        free(stack);
}

static void nap(struct fiber *self)
{
    self->result = usleep(1000);
}

static void read_byte(struct fiber *self)
{
    char byte;
    self->result = read(self->fd, &byte, 1);
}

static void await_child(struct fiber *self)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    self->result = waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

static void lock_and_nap(struct fiber *self)
{
    pthread_mutex_lock(self->mutex);
    usleep(1000);
    self->result = pthread_mutex_unlock(self->mutex);
}

static void call(struct fiber *self)
{
    self->result = lua_pcall(self->L, lua_gettop(self->L) - 1, LUA_MULTRET, 0);
}

static int run_plainly(lua_State *L, struct fiber fiber)
{
    run(&fiber, lua_toboolean(L, 1));
    lua_pushinteger(L, fiber.result);
    return 1;
}

static int l_nap(lua_State *L)
{
    return run_plainly(L, (struct fiber){.body = nap});
}

static int l_read_byte(lua_State *L)
{
    return run_plainly(L, (struct fiber){.body = read_byte, .fd = (int)luaL_checkinteger(L, 2)});
}

static int l_await_child(lua_State *L)
{
    return run_plainly(L, (struct fiber){.body = await_child});
}

static int l_lock_and_nap(lua_State *L)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    return run_plainly(L, (struct fiber){.body = lock_and_nap, .mutex = &mutex});
}

/* function, ...: called on a stack of the library's; true and its results, or false and its error
 */
static int l_call(lua_State *L)
{
    struct fiber fiber = {.body = call, .L = L};
    run(&fiber, 1);
    lua_pushboolean(L, fiber.result == LUA_OK);
    lua_insert(L, 1);
    return lua_gettop(L);
}

static const luaL_Reg functions[] = {
    {"nap", l_nap},
    {"read_byte", l_read_byte},
    {"await_child", l_await_child},
    {"lock_and_nap", l_lock_and_nap},
    {"call", l_call},
    {NULL, NULL},
};

int luaopen_fibers(lua_State *L);
__attribute__((visibility("default"))) int luaopen_fibers(lua_State *L)
{
    luaL_newlib(L, functions);
    return 1;
}
