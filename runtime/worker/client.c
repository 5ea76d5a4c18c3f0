#include "worker/client.h"

#include "base/check.h"
#include "hub/on/alarm.h"
#include "hub/on/watch.h"
#include "hub/state/waiters.h"
#include "hub/wait/wait.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

/* A request under way. The task that waits owns it, also when the reply is there; one whose task
 * was dropped meanwhile stays until the end. */
struct call {
    struct ml_link link; /* in client->calls */
    uint64_t request;
    struct ml_link waiters; /* the task */
    bool is_answered;
    int error; /* of the channel */
    struct ml_worker_reply *reply;
};

static const struct ml_wait_kind reply_kind = {.text = "a reply of the master", .external = true};

/* The number in the variable; -1: it is none of ours. It may mean another file in a process that
 * was started in between. */
static int find_inherited(void)
{
    const char *text = getenv(ML_WORKER_VARIABLE);
    int fd = -1, end = 0, type = 0;
    long master = 0;
    socklen_t size = sizeof type;
    bool is_one = text != NULL && sscanf(text, "%d:%ld%n", &fd, &master, &end) == 2 &&
                  text[end] == '\0' && fd > STDERR_FILENO && master == (long)getppid() &&
                  getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
    return is_one ? fd : -1;
}

bool ml_worker_is_inherited(void)
{
    return find_inherited() >= 0;
}

int ml_worker_inherited(void)
{
    int fd = find_inherited();
    if (getenv(ML_WORKER_VARIABLE) != NULL)
        unsetenv(ML_WORKER_VARIABLE);
    return fd >= 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 ? fd : -1;
}

/* ---- replies ---- */

int ml_worker_reply_take_fd(struct ml_worker_reply *reply, unsigned index)
{
    int fd = index < reply->fd_count ? reply->fds[index] : -1;
    if (fd >= 0)
        reply->fds[index] = -1;
    return fd;
}

void ml_worker_reply_free(struct ml_worker_reply *reply)
{
    if (reply == NULL)
        return;
    for (unsigned i = 0; i < reply->fd_count; i++)
        if (reply->fds[i] >= 0)
            close(reply->fds[i]);
    ml_buffer_release(&reply->text);
    free(reply);
}

static struct call *call_at(struct ml_link *link)
{
    return ml_container_of(link, struct call, link);
}

static struct call *find_call(struct ml_worker_client *client, uint64_t request)
{
    for (struct ml_link *link = client->calls.next; link != &client->calls; link = link->next) {
        struct call *call = call_at(link);
        if (call->request == request && !call->is_answered)
            return call;
    }
    return NULL;
}

static void answer(struct ml_worker_client *client, struct call *call, int error)
{
    call->error = error;
    call->is_answered = true;
    ml_wake_all(client->hub, &call->waiters);
}

/* Adds a message to a reply. 0 or -ENOMEM. */
static int add_part(struct ml_worker_reply *reply, struct ml_control_message *message)
{
    if (ml_buffer_reserve(&reply->text, message->size + 1) != 0)
        return -ENOMEM;
    memcpy(ml_buffer_end(&reply->text), message->payload, message->size + 1);
    ml_buffer_commit(&reply->text, message->size);
    reply->error = message->head.error;
    for (unsigned i = 0; i < message->fd_count && reply->fd_count < ML_CONTROL_FDS; i++)
        reply->fds[reply->fd_count++] = ml_control_take_fd(message, i);
    return 0;
}

/* No task waits for this reply any more. The master counts the worker among the users of a shared
 * socket, of which it knows nothing. */
static void undo(struct ml_worker_client *client, const struct ml_control_message *message)
{
    uint64_t number;
    bool is_share = message->head.type == ML_CONTROL_LISTEN && message->head.error == 0;
    if (is_share && ml_control_read(message, &number, sizeof number))
        ml_worker_tell(client, ML_CONTROL_UNLISTEN, &number, sizeof number);
}

static void take_reply(struct ml_worker_client *client, struct ml_control_message *message)
{
    struct call *call = find_call(client, message->head.request);
    if (call == NULL) {
        undo(client, message);
        return;
    }
    int error = add_part(call->reply, message);
    if (error != 0)
        undo(client, message);
    if (error != 0 || !message->head.has_more)
        answer(client, call, error);
}

/* ---- the channel ---- */

static void take_notice(struct ml_worker_client *client, struct ml_control_message *message)
{
    if (message->head.type >= ML_CONTROL_TYPE_COUNT)
        return;
    struct ml_worker_notice *notice = &client->notices[message->head.type];
    if (notice->handler != NULL)
        notice->handler(client, message, notice->data);
}

/* There is no master any more. */
static void lose(struct ml_worker_client *client)
{
    if (client->control.fd < 0)
        return;
    ml_watch_close(client->watch);
    client->watch = NULL;
    ml_control_close(&client->control);
    for (struct ml_link *link = client->calls.next; link != &client->calls; link = link->next)
        if (!call_at(link)->is_answered)
            answer(client, call_at(link), -EPIPE);
    if (client->orphaned != NULL)
        client->orphaned(client);
}

static void watch_channel(struct ml_worker_client *client)
{
    ml_watch_set(client->watch, true, client->control.waiting > 0);
}

/* Handles all that has come. A handler may close nothing here. */
static int receive_all(struct ml_worker_client *client)
{
    struct ml_control_message *message = &client->incoming;
    int result;
    while ((result = ml_control_receive(&client->control, message)) > 0) {
        if (message->head.is_reply)
            take_reply(client, message);
        else
            take_notice(client, message);
        ml_control_release(message);
    }
    return result;
}

static void on_channel(void *data, int fd, bool readable, bool writable)
{
    struct ml_worker_client *client = data;
    int error = 0;
    (void)fd;
    if (client->process != getpid()) /* a fork shares the descriptor */
        return;
    if (writable) {
        error = ml_control_flush(&client->control);
        watch_channel(client);
    }
    if (error == 0 && readable) {
        int result = receive_all(client);
        error = result == -EAGAIN ? 0 : result == 0 ? -EPIPE : result;
    }
    if (error != 0)
        lose(client);
}

static int send_message(struct ml_worker_client *client, enum ml_control_type type,
                        uint64_t request, const void *payload, size_t size, int fd)
{
    struct ml_control_head head = {.type = (uint8_t)type, .request = request};
    if (client->process != getpid())
        return -ECHILD;
    if (client->control.fd < 0)
        return -EPIPE;
    int error = ml_control_send(&client->control, &head, payload, size, &fd, fd >= 0);
    if (error == -ECONNRESET)
        error = -EPIPE;
    if (client->control.waiting > 0)
        watch_channel(client);
    return error;
}

int ml_worker_tell(struct ml_worker_client *client, enum ml_control_type type, const void *payload,
                   size_t size)
{
    return send_message(client, type, 0, payload, size, -1);
}

int ml_worker_tell_with(struct ml_worker_client *client, enum ml_control_type type,
                        const void *payload, size_t size, int fd)
{
    return send_message(client, type, 0, payload, size, fd);
}

/* ---- requests ---- */

static struct call *new_call(struct ml_worker_client *client)
{
    struct call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->reply = calloc(1, sizeof *call->reply);
    if (call->reply == NULL) {
        free(call);
        return NULL;
    }
    ml_list_init(&call->waiters);
    call->request = ++client->last_request;
    ml_list_insert(&client->calls, &call->link);
    return call;
}

static void free_call(struct call *call)
{
    ml_list_remove(&call->link);
    ml_worker_reply_free(call->reply);
    free(call);
}

int ml_worker_request(struct ml_worker_client *client, enum ml_control_type type,
                      const void *payload, size_t size, struct ml_worker_reply **reply,
                      ml_time deadline)
{
    *reply = NULL;
    struct call *call = new_call(client);
    if (call == NULL)
        return -ENOMEM;
    int error = send_message(client, type, call->request, payload, size, -1);
    while (error == 0 && !call->is_answered)
        error = ml_wait(client->hub, &reply_kind, 0, &call->waiters, deadline);
    if (call->is_answered)
        error = call->error;
    if (error == 0) {
        *reply = call->reply;
        call->reply = NULL;
    }
    free_call(call);
    return error;
}

/* ---- beats ---- */

static void wind_dead_man(struct ml_worker_client *client)
{
    uint64_t span = client->place.dead_after;
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(span / ML_SECOND), .tv_nsec = (long)(span % ML_SECOND)}};
    if (client->has_dead_man)
        timer_settime(client->dead_man, 0, &when, NULL);
}

static void beat(void *data)
{
    struct ml_worker_client *client = data;
    struct ml_control_beat figures = {0};
    ml_time now = ml_clock_now();
    if (client->process != getpid())
        return;
    wind_dead_man(client);
    if (client->measure != NULL)
        client->measure(client, &figures);
    figures.late = now > client->beat_at ? (uint64_t)(now - client->beat_at) : 0;
    client->beat_at = ml_time_after(now, (ml_time)client->place.beat);
    ml_worker_tell(client, ML_CONTROL_BEAT, &figures, sizeof figures);
}

/* The kernel kills the process when the timer has run down, even if it is stopped or all of its
 * threads compute: also without a master such a worker does not stay for ever. */
static void arm_dead_man(struct ml_worker_client *client)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGKILL};
    bool is_wanted = client->place.dead_after > 0;
    client->has_dead_man =
        is_wanted && timer_create(CLOCK_MONOTONIC, &event, &client->dead_man) == 0;
}

static void disarm_dead_man(struct ml_worker_client *client)
{
    if (client->has_dead_man)
        timer_delete(client->dead_man);
    client->has_dead_man = false;
}

void ml_worker_client_beat(struct ml_worker_client *client)
{
    if (client->is_ready && client->control.fd >= 0)
        beat(client);
}

void ml_worker_client_ready(struct ml_worker_client *client)
{
    if (client->is_ready)
        return;
    client->is_ready = true;
    arm_dead_man(client);
    beat(client);
    ml_worker_tell(client, ML_CONTROL_READY, NULL, 0);
}

/* ---- life ---- */

void ml_worker_client_on(struct ml_worker_client *client, enum ml_control_type type,
                         ml_worker_handler *handler, void *data)
{
    client->notices[type] = (struct ml_worker_notice){.handler = handler, .data = data};
}

/* The master has written it before this process began. */
static int read_place(struct ml_worker_client *client)
{
    struct ml_control_message *message = &client->incoming;
    int result = ml_control_receive(&client->control, message);
    if (result <= 0)
        return -EPROTO;
    bool is_place = message->head.type == ML_CONTROL_HELLO &&
                    ml_control_read(message, &client->place, sizeof client->place);
    ml_control_release(message);
    return is_place ? 0 : -EPROTO;
}

static int open_parts(struct ml_worker_client *client)
{
    int error = read_place(client);
    if (error != 0)
        return error;
    client->watch = ml_watch_open(client->hub, client->control.fd, on_channel, client);
    client->alarm = ml_alarm_open(client->hub, beat, client);
    if (client->watch == NULL || client->alarm == NULL)
        return -ENOMEM;
    watch_channel(client);
    client->beat_at = ml_time_after(ml_clock_now(), (ml_time)client->place.beat);
    ml_alarm_start(client->alarm, (ml_time)client->place.beat);
    /* The channel's end tells the hub; this tells code that does not let the hub turn. */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    return 0;
}

int ml_worker_client_open(struct ml_worker_client **client, struct ml_hub *hub, int fd)
{
    struct ml_worker_client *new = calloc(1, sizeof *new);
    *client = NULL;
    if (new == NULL) {
        close(fd);
        return -ENOMEM;
    }
    new->hub = hub;
    new->process = getpid();
    ml_list_init(&new->calls);
    ml_control_open(&new->control, fd);
    int error = open_parts(new);
    if (error == 0)
        *client = new;
    else
        ml_worker_client_close(new);
    return error;
}

void ml_worker_client_close(struct ml_worker_client *client)
{
    if (client == NULL)
        return;
    client->orphaned = NULL;
    disarm_dead_man(client);
    lose(client);
    ml_alarm_close(client->alarm);
    while (!ml_list_is_empty(&client->calls))
        free_call(call_at(client->calls.next));
    free(client);
}
