#include "worker/requests.h"

#include "worker/figures.h"
#include "worker/kept_stores.h"
#include "worker/peers.h"
#include "worker/places.h"
#include "worker/reload.h"
#include "worker/report.h"
#include "worker/shares.h"
#include "worker/worker_process.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One message, and by whom. */
struct request {
    struct ml_master *master;
    struct ml_worker_process *process;
    struct ml_control_message *message;
};

static void reply(const struct request *r, int error, const void *payload, size_t size, int fd)
{
    const struct ml_control_head *head = &r->message->head;
    ml_process_send(r->process, head->type, head->request, error, payload, size, fd);
}

static void refuse(const struct request *r, int error)
{
    if (r->message->head.request != 0)
        reply(r, error, NULL, 0, -1);
}

static void serve_ready(const struct request *r)
{
    ml_place_ready(r->master, r->process);
}

/* Bytes of a process in memory; 0: unknown. */
static uint64_t memory_of(const struct ml_worker_process *process)
{
    char path[64];
    unsigned long long pages = 0;
    snprintf(path, sizeof path, "/proc/%ld/statm", (long)process->pid);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    if (fscanf(file, "%*u %llu", &pages) != 1)
        pages = 0;
    fclose(file);
    return pages * 4096;
}

/* A worker that had not answered for long, and does again, may live. */
static void serve_beat(const struct request *r)
{
    struct ml_worker_process *process = r->process;
    if (!ml_control_read(r->message, &process->beat, sizeof process->beat))
        return;
    process->heard_at = r->master->now;
    process->memory = memory_of(process);
    if (process->was_dumped && process->state == ML_WORKER_READY) {
        process->was_dumped = false;
        process->reason = NULL;
        process->kill_at = ML_FOREVER;
    }
    process->is_replaceable =
        (process->most_requests > 0 && process->beat.requests >= process->most_requests) ||
        (process->most_memory > 0 && process->memory >= process->most_memory);
}

static void serve_listen(const struct request *r)
{
    struct ml_control_listen asked;
    uint64_t number = 0;
    if (!ml_control_read(r->message, &asked, sizeof asked)) {
        refuse(r, -EPROTO);
        return;
    }
    int fd = ml_shares_listen(r->master, r->process, &asked, &number);
    if (fd < 0) {
        refuse(r, fd);
        return;
    }
    char text[sizeof number + ML_SHARE_NAME];
    const char *name = ml_shares_name(r->master, number);
    memcpy(text, &number, sizeof number);
    memcpy(text + sizeof number, name, strlen(name));
    reply(r, 0, text, sizeof number + strlen(name), fd);
}

static void serve_unlisten(const struct request *r)
{
    uint64_t number;
    if (ml_control_read(r->message, &number, sizeof number))
        ml_shares_unlisten(r->master, r->process, number);
}

static void serve_reload(const struct request *r)
{
    ml_reload_begin(r->master, r->process, r->message->head.request);
}

static void serve_stop(const struct request *r)
{
    reply(r, 0, NULL, 0, -1);
    ml_places_stop(r->master, false);
}

static void serve_status(const struct request *r)
{
    char *text = ml_report_json(r->master);
    size_t size = text != NULL ? strlen(text) : 0;
    if (text == NULL) {
        refuse(r, -ENOMEM);
        return;
    }
    struct ml_control_head head = r->message->head;
    head.is_reply = true;
    head.error = 0;
    for (size_t at = 0; at < size; at += ML_CONTROL_PAYLOAD) {
        size_t part = size - at < ML_CONTROL_PAYLOAD ? size - at : ML_CONTROL_PAYLOAD;
        head.has_more = at + part < size;
        ml_control_send(&r->process->control, &head, text + at, part, NULL, 0);
    }
    free(text);
}

static void serve_store(const struct request *r)
{
    struct ml_control_store asked;
    uint64_t size = 0;
    if (!ml_control_read(r->message, &asked, sizeof asked)) {
        refuse(r, -EPROTO);
        return;
    }
    asked.name[sizeof asked.name - 1] = '\0';
    int fd = ml_kept_stores_find(r->master, &asked, &size);
    if (fd >= 0)
        reply(r, 0, &size, sizeof size, fd);
    else
        refuse(r, fd);
}

static void serve_peer(const struct request *r)
{
    struct ml_control_peer asked;
    if (ml_control_read(r->message, &asked, sizeof asked))
        ml_peers_connect(r->master, r->process, &asked, r->message->head.request);
    else
        refuse(r, -EPROTO);
}

/* A request, or a worker's answer. */
static void serve_figures(const struct request *r)
{
    uint64_t number;
    if (r->message->head.request != 0)
        ml_figures_ask(r->master, r->process, r->message->head.request);
    else if (r->message->fd_count > 0 && ml_control_read(r->message, &number, sizeof number))
        ml_figures_take(r->master, r->process, number, r->message->fds[0]);
}

static void serve_retired(const struct request *r)
{
    struct ml_control_figures of;
    if (r->message->fd_count > 0 && ml_control_read(r->message, &of, sizeof of))
        ml_figures_put_together(r->master, &of, r->message->fds[0]);
}

/* NULL: not for the master. */
static void (*const served[ML_CONTROL_TYPE_COUNT])(const struct request *r) = {
    [ML_CONTROL_READY] = serve_ready,     [ML_CONTROL_BEAT] = serve_beat,
    [ML_CONTROL_LISTEN] = serve_listen,   [ML_CONTROL_UNLISTEN] = serve_unlisten,
    [ML_CONTROL_RELOAD] = serve_reload,   [ML_CONTROL_STOP] = serve_stop,
    [ML_CONTROL_STATUS] = serve_status,   [ML_CONTROL_STORE] = serve_store,
    [ML_CONTROL_PEER] = serve_peer,       [ML_CONTROL_FIGURES] = serve_figures,
    [ML_CONTROL_RETIRED] = serve_retired,
};

bool ml_requests_serve(struct ml_master *master, struct ml_worker_process *process)
{
    struct ml_control_message message;
    int result;
    while ((result = ml_control_receive(&process->control, &message)) > 0) {
        struct request r = {.master = master, .process = process, .message = &message};
        unsigned type = message.head.type;
        if (type < ML_CONTROL_TYPE_COUNT && served[type] != NULL)
            served[type](&r);
        else
            refuse(&r, -EOPNOTSUPP);
        ml_control_release(&message);
    }
    return result == -EAGAIN;
}
