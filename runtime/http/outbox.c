#include "http/outbox.h"

#include <errno.h>
#include <string.h>

void ml_http_outbox_drop(struct ml_http_outbox *out)
{
    if (out->block != NULL)
        ml_http_block_give(out->server, out->block);
    out->block = NULL;
    out->used = 0;
}

static int take_block(struct ml_http_outbox *out)
{
    if (out->block == NULL)
        out->block = ml_http_block_take(out->server);
    return out->block != NULL ? 0 : -ENOMEM;
}

int ml_http_outbox_reserve(struct ml_http_outbox *out, size_t size, char **room)
{
    int error = 0;
    if (size > ML_HTTP_BLOCK)
        return -EMSGSIZE;
    while (error == 0 && size > ml_http_outbox_room(out)) /* others may fill it meanwhile */
        error = ml_http_outbox_flush(out);
    if (error == 0)
        error = take_block(out);
    if (error == 0)
        *room = out->block + out->used;
    return error;
}

/* Pieces beside the block that go out with it in one call; of more than these the block goes
 * first. */
enum { TOGETHER = 16 };

static int send_together(struct ml_http_outbox *out, char *block, uint32_t used,
                         struct iovec *pieces, int count)
{
    struct iovec all[TOGETHER + 1];
    size_t sent;
    all[0] = (struct iovec){.iov_base = block, .iov_len = used};
    if (count > 0)
        memcpy(&all[1], pieces, (size_t)count * sizeof *pieces);
    return ml_stream_write(out->stream, all, count + 1, &sent);
}

/* The block is the caller's while it waits: what other tasks send meanwhile has one of its own, and
 * its turn after this. */
int ml_http_outbox_send(struct ml_http_outbox *out, struct iovec *pieces, int count)
{
    char *block = out->block;
    uint32_t used = out->used;
    size_t sent;
    int error = 0;
    out->block = NULL;
    out->used = 0;
    if (used > 0) {
        int first = count <= TOGETHER ? count : 0;
        error = send_together(out, block, used, pieces, first);
        count -= first;
    }
    if (error == 0 && count > 0)
        error = ml_stream_write(out->stream, pieces, count, &sent);
    if (block != NULL)
        ml_http_block_give(out->server, block);
    return error;
}
