#include "io/send_file.h"

#include "base/error.h"
#include "hub/wait/slice.h"
#include "io/file_block.h"

#include <stdlib.h>
#include <unistd.h>

/* Bytes per call, few enough for the hub to run now and then, however fast the peer is. COPIED:
 * the most that is copied where the kernel could send it. One call reads it if it is in memory,
 * one sends it; sendfile() takes two calls for a look at the memory, one, and two that keep
 * SIGPIPE away. REMEMBERED: the most that is not looked at again when it was sent a moment ago. */
enum { BLOCK = 256 * 1024, COPIED = 16 * 1024, REMEMBERED = 4 * 1024 * 1024 };

/* A file on its way. */
struct file_source {
    int file;
    off_t offset;
    uint64_t left;
    uint64_t sent;
    bool is_memory; /* no disk has to be waited for */
};

static size_t next_size(const struct file_source *source, size_t most)
{
    return source->left < most ? (size_t)source->left : most;
}

static void advance(struct file_source *source, size_t size)
{
    source->left -= size;
    source->sent += size;
}

static int transmit_copied(struct ml_stream *s, struct file_source *source, const char *block,
                           size_t size, ml_time deadline)
{
    int error = 0;
    while (error == 0 && size > 0) {
        struct iovec piece = {.iov_base = (void *)block, .iov_len = size};
        ssize_t now = s->transport->transmit(s, &piece, 1);
        ml_slice_spend_call(s->io->hub, now);
        if (now >= 0) {
            advance(source, (size_t)now);
            block += now;
            size -= (size_t)now;
            error = ml_stream_share_write(s, deadline);
        } else {
            error = ml_stream_await_room(s, (int)now, deadline);
        }
    }
    return error;
}

/* A worker reads the next block from the disk. 0; 1: the file has ended; or an error. */
static int send_from_disk(struct ml_stream *s, struct file_source *source, size_t size,
                          ml_time deadline)
{
    struct ml_file_block *block;
    int result = ml_file_block_read(s->io->hub, source->file, size, source->offset, &block);
    result = ml_stream_after_wait(s, result);
    if (result == 0)
        result = ml_stream_may_write(s);
    if (result == 0 && block->size <= 0)
        result = block->size < 0 ? (int)block->size : 1;
    if (result == 0) {
        source->is_memory = block->is_memory;
        source->offset += block->size;
        result = transmit_copied(s, source, block->data, (size_t)block->size, deadline);
    }
    ml_file_block_free(block);
    return result;
}

/* The kernel sends the next block. 0; 1: the file has ended; -EINVAL: it must be copied; or an
 * error. */
static int send_block(struct ml_stream *s, struct file_source *source, ml_time deadline)
{
    size_t size = next_size(source, BLOCK);
    int error = source->is_memory ? 0 : ml_file_probe(source->file, size, source->offset);
    if (error == -EAGAIN)
        return send_from_disk(s, source, size, deadline);
    ssize_t now =
        error != 0 ? error : s->transport->send_file(s, source->file, &source->offset, size);
    ml_slice_spend_call(s->io->hub, now);
    if (now < 0)
        return error != 0 ? error : ml_stream_await_room(s, (int)now, deadline);
    advance(source, (size_t)now);
    return now == 0 ? 1 : ml_stream_share_write(s, deadline);
}

/* A short rest is left to copy_all(). */
static int send_all(struct ml_stream *s, struct file_source *source, ml_time deadline)
{
    int result = s->transport->send_file == NULL || source->left <= COPIED ? -EINVAL : 0;
    while (result == 0 && source->left > 0)
        result = send_block(s, source, deadline);
    return result;
}

static int copy_block(struct ml_stream *s, struct file_source *source, char *block,
                      ml_time deadline)
{
    size_t most = next_size(source, COPIED);
    ssize_t size = ml_file_peek(source->file, block, most, source->offset);
    if (size == -EAGAIN)
        return send_from_disk(s, source, next_size(source, BLOCK), deadline);
    if (size <= 0)
        return size < 0 ? (int)size : 1;
    source->offset += size;
    return transmit_copied(s, source, block, (size_t)size, deadline);
}

static int copy_all(struct ml_stream *s, struct file_source *source, ml_time deadline)
{
    char *block = malloc(next_size(source, COPIED));
    int result = block == NULL ? -ENOMEM : 0;
    while (result == 0 && source->left > 0)
        result = copy_block(s, source, block, deadline);
    free(block);
    return result;
}

/* 0: whether it is in memory is to be looked at each time. */
static uint64_t number_of(const struct ml_stream *s, off_t offset, uint64_t count)
{
    bool is_known = s->file != 0 && count <= REMEMBERED;
    return is_known ? ml_recent_part(s->file, (uint64_t)offset, count) : 0;
}

/* Whatever was sent is in memory now, from wherever it came. Its age is one of the machine's
 * memory: the virtual clock has no say. */
static void remember(struct ml_stream *s, uint64_t number, bool is_whole)
{
    if (number != 0 && is_whole)
        ml_recent_files_note(&s->io->recent, number, ml_clock_now());
}

static bool is_remembered(const struct ml_stream *s, uint64_t number)
{
    return number != 0 && ml_recent_files_have(&s->io->recent, number, ml_clock_now());
}

int ml_stream_send_file(struct ml_stream *s, int file, off_t offset, uint64_t count, uint64_t *sent)
{
    uint64_t number = number_of(s, offset, count);
    struct file_source source = {
        .file = file, .offset = offset, .left = count, .is_memory = is_remembered(s, number)};
    ml_time deadline = ml_stream_write_deadline(s);
    *sent = 0;
    int result = ml_stream_take_turn(s, deadline);
    if (result != 0)
        return result;
    result = ml_stream_may_write(s);
    if (result == 0)
        result = send_all(s, &source, deadline);
    if (result == -EINVAL)
        result = source.left > 0 ? copy_all(s, &source, deadline) : 0;
    if (result < 0 && (source.sent > 0 || s->is_torn))
        s->write_broken = true;
    remember(s, number, source.left == 0);
    ml_stream_pass_turn(s);
    *sent = source.sent;
    return result < 0 ? result : 0;
}
