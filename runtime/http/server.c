#include "http/server.h"

#include "http/http2_memory.h"

#include <stdio.h>
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
}

static void release_spares(struct ml_http_spares *spares)
{
    while (spares->first != NULL) {
        void *block = spares->first;
        memcpy(&spares->first, block, sizeof block);
        free(block);
    }
    spares->count = 0;
}

void ml_http_server_release(struct ml_http_server *server)
{
    release_spares(&server->blocks);
    release_spares(&server->requests);
    release_spares(&server->streams);
    ml_http2_memory_free(server->http2_memory);
    server->http2_memory = NULL;
}

void ml_http_server_stop(struct ml_http_server *server)
{
    server->is_stopping = true;
    for (struct ml_link *link = server->connections.next; link != &server->connections;) {
        struct ml_http_connection_link *c =
            ml_container_of(link, struct ml_http_connection_link, link);
        link = link->next;
        c->stop(c);
    }
}

void *ml_http_spare_take(struct ml_http_spares *spares, size_t size)
{
    void *block = spares->first;
    if (block == NULL)
        return malloc(size);
    memcpy(&spares->first, block, sizeof block);
    spares->count--;
    return block;
}

void ml_http_spare_give(struct ml_http_spares *spares, void *block)
{
    if (block == NULL || spares->count == SPARES_KEPT) {
        free(block);
        return;
    }
    memcpy(block, &spares->first, sizeof block);
    spares->first = block;
    spares->count++;
}

void *ml_http_block_take(struct ml_http_server *server)
{
    return ml_http_spare_take(&server->blocks, ML_HTTP_BLOCK);
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
