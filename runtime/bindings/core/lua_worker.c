#include "bindings/core/lua_worker.h"

#include "bindings/core/lua_spawn.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- tasks for what the master wants ---- */

/* What the master wants: a module of stdlib/ with the function `run`, and its arguments. */
struct errand {
    const char *name, *module;
    lua_Number number;
    bool flag;
};

/* The task's body. Stack: the module's name, a number, a boolean. */
static int run_errand(lua_State *L)
{
    lua_getglobal(L, "require");
    lua_pushvalue(L, 1);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "run");
    lua_replace(L, 1);
    lua_settop(L, 3);
    lua_call(L, 2, 0);
    return 0;
}

/* Stack: struct errand, a light userdata. Raises. */
static int spawn_errand(lua_State *L)
{
    const struct errand *errand = lua_touserdata(L, 1);
    const struct ml_lua_spawn options = {.name = errand->name, .name_index = 2, .is_daemon = true};
    lua_pushstring(L, errand->name);
    lua_pushcfunction(L, run_errand);
    lua_pushstring(L, errand->module);
    lua_pushnumber(L, errand->number);
    lua_pushboolean(L, errand->flag);
    return ml_lua_spawn(L, &options, 4) != 0 ? luaL_error(L, "not enough memory") : 0;
}

/* False: no memory for a task. */
static bool spawn(struct ml_lua *lua, struct errand errand)
{
    lua_State *L = lua->aside;
    int top = lua_gettop(L), status = LUA_ERRMEM;
    if (lua_checkstack(L, LUA_MINSTACK)) {
        lua_pushcfunction(L, spawn_errand);
        lua_pushlightuserdata(L, &errand);
        status = lua_pcall(L, 1, 0, 0);
    }
    lua_settop(L, top);
    return status == LUA_OK;
}

/* Without memory for a task the program ends as by SIGTERM. */
static void drain(struct ml_lua_worker *worker, struct ml_control_drain order)
{
    struct errand errand = {.name = "drain",
                            .module = "moonlet.worker.drain",
                            .number = (lua_Number)order.grace / 1e9,
                            .flag = order.others_serve != 0};
    if (worker->is_draining)
        return;
    worker->is_draining = true;
    if (!spawn(worker->lua, errand))
        kill(getpid(), SIGTERM);
}

/* Without memory for a task this worker is left out. */
static void on_figures(struct ml_worker_client *client, struct ml_control_message *message,
                       void *data)
{
    struct ml_lua_worker *worker = data;
    uint64_t number;
    (void)client;
    worker->was_asked = true;
    if (ml_control_read(message, &number, sizeof number))
        spawn(worker->lua, (struct errand){.name = "metrics",
                                           .module = "moonlet.worker.figures",
                                           .number = (lua_Number)number});
}

/* Protected. */
static int say_figures(lua_State *L)
{
    lua_pushcfunction(L, run_errand);
    lua_pushliteral(L, "moonlet.worker.figures");
    lua_pushinteger(L, 0);
    lua_pushboolean(L, false);
    lua_call(L, 3, 0);
    return 0;
}

/* Without memory, or if a gauge's function would wait, the master has what it was told before. */
void ml_lua_worker_say_last(struct ml_lua *lua)
{
    lua_State *L = lua->aside;
    if (lua->worker == NULL)
        return;
    ml_worker_client_beat(lua->worker->client);
    if (!lua->worker->was_asked || !lua_checkstack(L, LUA_MINSTACK))
        return;
    int top = lua_gettop(L);
    lua_pushcfunction(L, say_figures);
    lua_pcall(L, 0, 0, 0);
    lua_settop(L, top);
}

static void on_drain(struct ml_worker_client *client, struct ml_control_message *message,
                     void *data)
{
    struct ml_control_drain order;
    (void)client;
    if (ml_control_read(message, &order, sizeof order))
        drain(data, order);
}

/* Configs look at the number before they use what they have made of them. */
static void on_tickets(struct ml_worker_client *client, struct ml_control_message *message,
                       void *data)
{
    (void)data;
    ml_control_read(message, &client->place.tickets, sizeof client->place.tickets);
}

/* A worker does not outlive its master. */
static void on_orphaned(struct ml_worker_client *client)
{
    struct ml_lua_worker *worker = client->owner;
    if (!worker->lua->is_closing && !worker->lua->is_unwinding)
        drain(worker, (struct ml_control_drain){.grace = client->place.grace});
}

/* ---- life ---- */

static void pass_over(int number)
{
    (void)number;
}

/* Signals to the master that reach all of its processes, as those of "systemctl kill" and pkill do,
 * end no worker. A handler: programs that the worker starts have the default again. */
static void pass_over_signals(void)
{
    static const int numbers[] = {SIGHUP, SIGUSR2, SIGTTIN, SIGTTOU};
    struct sigaction now, action = {.sa_handler = pass_over, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (sigaction(numbers[i], NULL, &now) == 0 && now.sa_handler == SIG_DFL)
            sigaction(numbers[i], &action, NULL);
}

int ml_lua_worker_open(struct ml_lua *lua)
{
    int fd = ml_worker_inherited();
    if (fd < 0)
        return 0;
    struct ml_lua_worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL) {
        close(fd);
        return -ENOMEM;
    }
    worker->lua = lua;
    ml_list_init(&worker->sockets);
    int error = ml_worker_client_open(&worker->client, &lua->hub, fd);
    if (error != 0) {
        free(worker);
        return error;
    }
    worker->client->owner = worker;
    worker->client->orphaned = on_orphaned;
    ml_worker_client_on(worker->client, ML_CONTROL_DRAIN, on_drain, worker);
    ml_worker_client_on(worker->client, ML_CONTROL_FIGURES, on_figures, worker);
    ml_worker_client_on(worker->client, ML_CONTROL_TICKETS, on_tickets, NULL);
    ml_lua_peers_open(&worker->peers, worker->client);
    lua->worker = worker;
    pass_over_signals();
    lua->io.tickets = &worker->client->place.tickets;
    return 0;
}

void ml_lua_worker_close(struct ml_lua *lua)
{
    if (lua->worker == NULL)
        return;
    lua->io.tickets = NULL;
    lua->io.balance = NULL;
    ml_balance_release(&lua->worker->balance);
    ml_lua_peers_close(&lua->worker->peers);
    ml_worker_client_close(lua->worker->client);
    free(lua->worker);
    lua->worker = NULL;
}

/* ---- sockets ---- */

/* The name stands behind the number. */
static void copy_name(const struct ml_worker_reply *reply, char *name)
{
    const size_t head = sizeof(uint64_t);
    size_t size = ml_buffer_size(&reply->text);
    size_t length = size > head && size - head < ML_SHARE_NAME ? size - head : 0;
    if (length > 0)
        memcpy(name, ml_buffer_data(&reply->text) + head, length);
    name[length] = '\0';
}

static int take_socket(struct ml_worker_reply *reply, int *fd, uint64_t *number, char *name)
{
    if (reply->error != 0)
        return reply->error;
    *fd = ml_worker_reply_take_fd(reply, 0);
    if (*fd < 0 || ml_buffer_size(&reply->text) < sizeof *number)
        return -EMFILE; /* the kernel had no room for the descriptor here */
    memcpy(number, ml_buffer_data(&reply->text), sizeof *number);
    if (name != NULL)
        copy_name(reply, name);
    return 0;
}

static bool has_port(const struct ml_address *address)
{
    return ml_address_is_local(address) || ml_address_port(address) != 0;
}

/* The memory by which connections are spread is one of the master's stores; scripts have none
 * without a name. 0, also without memory: then they are not spread; or -ECANCELED. */
static int open_balance(struct ml_lua *lua)
{
    struct ml_lua_worker *worker = lua->worker;
    const struct ml_control_place *place = &worker->client->place;
    struct ml_control_store asked = {.size = ml_balance_size()};
    struct ml_worker_reply *reply = NULL;
    if (lua->io.balance != NULL)
        return 0;
    int error = ml_worker_request(worker->client, ML_CONTROL_STORE, &asked, sizeof asked, &reply,
                                  ML_FOREVER);
    if (error != 0)
        return error == -ECANCELED ? error : 0;
    uint32_t index = 2 * (place->slot - 1) + place->generation % 2;
    int fd = reply->error == 0 ? ml_worker_reply_take_fd(reply, 0) : -1;
    ml_worker_reply_free(reply);
    if (fd >= 0 && lua->io.balance == NULL &&
        ml_balance_open(&worker->balance, fd, index, place->serial) == 0)
        lua->io.balance = &worker->balance;
    if (fd >= 0)
        close(fd);
    return 0;
}

int ml_lua_worker_listen(struct ml_lua *lua, const struct ml_control_listen *asked, int *fd,
                         struct ml_shared_socket *shared, char *name)
{
    struct ml_lua_worker *worker = lua->worker;
    struct ml_control_listen request = *asked;
    struct ml_worker_reply *reply;
    uint64_t number = 0;
    if (asked->kind != ML_SHARE_INHERITED && !has_port(&asked->address))
        request.ordinal = ++worker->ordinal;
    if (worker->client->place.reuseport && asked->kind == ML_SHARE_STREAM &&
        !ml_address_is_local(&asked->address))
        request.is_per_slot = true;
    bool is_spread = asked->kind != ML_SHARE_DATAGRAM && !request.is_per_slot;
    int error = is_spread ? open_balance(lua) : 0;
    if (error != 0)
        return error;
    error = ml_worker_request(worker->client, ML_CONTROL_LISTEN, &request, sizeof request, &reply,
                              ML_FOREVER);
    if (error != 0)
        return error;
    error = take_socket(reply, fd, &number, name);
    ml_worker_reply_free(reply);
    if (error == 0) {
        shared->lua = lua;
        shared->number = number;
        shared->is_spread = is_spread;
        ml_list_insert(&worker->sockets, &shared->link);
    }
    return error;
}

void ml_shared_socket_close(struct ml_shared_socket *shared)
{
    if (!ml_link_is_in_list(&shared->link))
        return;
    ml_list_remove(&shared->link);
    if (shared->is_spread)
        ml_balance_leave(&shared->lua->worker->balance); /* the next accept joins again */
    ml_worker_tell(shared->lua->worker->client, ML_CONTROL_UNLISTEN, &shared->number,
                   sizeof shared->number);
}

unsigned ml_lua_worker_close_sockets(struct ml_lua *lua)
{
    struct ml_link *sockets = &lua->worker->sockets;
    unsigned count = 0;
    for (; !ml_list_is_empty(sockets); count++) {
        struct ml_shared_socket *shared =
            ml_container_of(sockets->next, struct ml_shared_socket, link);
        shared->close(shared);
    }
    return count;
}

unsigned ml_lua_worker_count_sockets(const struct ml_lua *lua)
{
    const struct ml_link *sockets = &lua->worker->sockets;
    unsigned count = 0;
    for (const struct ml_link *link = sockets->next; link != sockets; link = link->next)
        count++;
    return count;
}

void ml_lua_worker_serves(struct ml_lua *lua)
{
    if (lua->worker != NULL)
        ml_worker_client_ready(lua->worker->client);
}
