#include "http/http1_head.h"

#include "http/http1_body.h"

#include <errno.h>
#include <string.h>

struct ml_http1 *ml_http1_take(struct ml_http_server *server)
{
    struct ml_http1 *r = ml_http_spare_take(server, &server->requests, sizeof *r);
    struct ml_http1_room *room = r != NULL ? ml_http_block_take(server) : NULL;
    if (room == NULL) {
        ml_http_spare_give(&server->requests, r);
        return NULL;
    }
    r->room = room;
    r->packed = NULL;
    r->trailers = NULL;
    r->x.carrier = NULL;
    ml_http1_clear_head(r);
    return r;
}

void ml_http1_give(struct ml_http_server *server, struct ml_http1 *r)
{
    ml_http1_end_body(r);
    ml_http_memory_give(r->packed);
    if (r->room != NULL)
        ml_http_block_give(server, r->room);
    ml_http_spare_give(&server->requests, r);
}

void ml_http1_clear_head(struct ml_http1 *r)
{
    ml_http_head_init(&r->x.head, r->room->fields, ML_HTTP1_FIELDS);
}

int ml_http1_keep_head(struct ml_http_server *server, struct ml_http1 *r, const char *bytes,
                       size_t size)
{
    char *own = r->room->bytes;
    if (size > ML_HTTP_BLOCK - offsetof(struct ml_http1_room, bytes))
        own = r->packed = ml_http_memory_take(server, size);
    if (own == NULL)
        return -ENOMEM;
    memcpy(own, bytes, size);
    r->x.head.bytes = own;
    r->head_size = (uint32_t)size;
    return 0;
}

void ml_http1_pack_head(struct ml_http_server *server, struct ml_http1 *r)
{
    struct ml_http_head *head = &r->x.head;
    size_t fields = head->field_count * sizeof *head->fields;
    char *packed = ml_http_memory_take(server, fields + r->head_size);
    if (packed == NULL)
        return;
    memcpy(packed, head->fields, fields);
    memcpy(packed + fields, head->bytes, r->head_size);
    head->fields = (struct ml_http_field *)packed;
    head->field_room = head->field_count;
    head->bytes = packed + fields;
    ml_http_memory_give(r->packed);
    r->packed = packed;
    ml_http_block_give(server, r->room);
    r->room = NULL;
}
