#include "http/server.h"

#include "http/http2_memory.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Requests in flight on a busy server seldom wait at the same time: measured with 64 connections,
 * two blocks serve all. */
enum { SPARES_KEPT = 64 };

void ml_http_server_init(struct ml_http_server *server, struct ml_io *io)
{
    *server = (struct ml_http_server){
        .io = io,
        .limits = ML_HTTP_LIMITS_DEFAULT,
        .timeouts = {.head = 10 * ML_SECOND,
                     .read = 30 * ML_SECOND,
                     .write = 30 * ML_SECOND,
                     .keep_alive = 75 * ML_SECOND,
                     .age = 3600 * ML_SECOND},
        .max_body = 1024 * 1024,
        .max_in_flight = UINT32_MAX,
        .date_second = -1,
    };
    ml_list_init(&server->connections);
    ml_list_init(&server->memory);
}

/* ---- memory ---- */

/* Stands before each piece of memory, for malloc's alignment. */
struct header {
    _Alignas(max_align_t) struct ml_link link; /* in the server's `memory` */
};

static void *memory_of(struct ml_link *link)
{
    return ml_container_of(link, struct header, link) + 1;
}

void *ml_http_memory_take(struct ml_http_server *server, size_t size)
{
    struct header *header = malloc(sizeof *header + size);
    if (header == NULL)
        return NULL;
    ml_list_insert(&server->memory, &header->link);
    return header + 1;
}

void ml_http_memory_give(void *memory)
{
    if (memory == NULL)
        return;
    struct header *header = (struct header *)memory - 1;
    ml_list_remove(&header->link);
    free(header);
}

static void release_memory(struct ml_http_server *server)
{
    while (!ml_list_is_empty(&server->memory))
        ml_http_memory_give(memory_of(server->memory.next));
    server->blocks = server->requests = server->streams = (struct ml_http_spares){NULL, 0};
}

void ml_http_server_release(struct ml_http_server *server)
{
    release_memory(server);
    ml_http2_memory_free(server->http2_memory);
    server->http2_memory = NULL;
}

void ml_http_server_leave(struct ml_http_server *server)
{
    server->is_leaving = true;
}

void ml_http_server_stop(struct ml_http_server *server)
{
    server->is_leaving = true;
    server->is_stopping = true;
    for (struct ml_link *link = server->connections.next; link != &server->connections;) {
        struct ml_http_connection_link *c =
            ml_container_of(link, struct ml_http_connection_link, link);
        link = link->next;
        c->stop(c);
    }
}

void *ml_http_spare_take(struct ml_http_server *server, struct ml_http_spares *spares, size_t size)
{
    void *block = spares->first;
    if (block == NULL)
        return ml_http_memory_take(server, size);
    memcpy(&spares->first, block, sizeof block);
    spares->count--;
    return block;
}

void ml_http_spare_give(struct ml_http_spares *spares, void *block)
{
    if (block == NULL || spares->count == SPARES_KEPT) {
        ml_http_memory_give(block);
        return;
    }
    memcpy(block, &spares->first, sizeof block);
    spares->first = block;
    spares->count++;
}

void *ml_http_block_take(struct ml_http_server *server)
{
    return ml_http_spare_take(server, &server->blocks, ML_HTTP_BLOCK);
}

void ml_http_block_give(struct ml_http_server *server, void *block)
{
    ml_http_spare_give(&server->blocks, block);
}

const char *ml_http_server_date(struct ml_http_server *server)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (now.tv_sec != server->date_second) {
        server->date_second = now.tv_sec;
        ml_http_date_write(server->date, now.tv_sec);
    }
    return server->date;
}
