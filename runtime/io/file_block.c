#include "io/file_block.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static const struct ml_wait_kind disk_kind = {.text = "a disk", .external = true};

ssize_t ml_file_peek(int file, void *buffer, size_t size, off_t offset)
{
    struct iovec piece = {.iov_base = buffer, .iov_len = size};
    ssize_t count;
    do
        count = preadv2(file, &piece, 1, offset, RWF_NOWAIT);
    while (count < 0 && errno == EINTR);
    if (count >= 0)
        return count;
    return errno == EOPNOTSUPP || errno == ENOSYS ? -EAGAIN : -errno;
}

int ml_file_probe(int file, size_t size, off_t offset)
{
    char byte;
    ssize_t first = ml_file_peek(file, &byte, 1, offset);
    ssize_t last = first <= 0 ? first : ml_file_peek(file, &byte, 1, offset + (off_t)size - 1);
    return last < 0 ? (int)last : 0;
}

static struct ml_file_block *block_of(struct ml_job *job)
{
    return ml_container_of(job, struct ml_file_block, job);
}

static void read_block(struct ml_job *job)
{
    struct ml_file_block *block = block_of(job);
    struct statfs info;
    do
        block->size = pread(block->file, block->data, block->room, block->offset);
    while (block->size < 0 && errno == EINTR);
    if (block->size < 0)
        block->size = -errno;
    block->is_memory = fstatfs(block->file, &info) == 0 &&
                       (info.f_type == TMPFS_MAGIC || info.f_type == RAMFS_MAGIC);
}

static void release(struct ml_job *job)
{
    ml_file_block_free(block_of(job));
}

void ml_file_block_free(struct ml_file_block *block)
{
    if (block == NULL)
        return;
    close(block->file);
    free(block);
}

static struct ml_file_block *new_block(int file, size_t size, off_t offset)
{
    struct ml_file_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        return NULL;
    *block = (struct ml_file_block){.file = file, .room = size, .offset = offset};
    block->job = (struct ml_job){.run = read_block, .release = release, .work = ML_WORK_DISK};
    return block;
}

int ml_file_block_read(struct ml_hub *hub, int file, size_t size, off_t offset,
                       struct ml_file_block **block)
{
    *block = NULL;
    int own = fcntl(file, F_DUPFD_CLOEXEC, 3);
    if (own < 0)
        return -errno;
    struct ml_file_block *new = new_block(own, size, offset);
    if (new == NULL) {
        close(own);
        return -ENOMEM;
    }
    int error = ml_offload(hub, &disk_kind, &new->job, ML_FOREVER);
    *block = error == 0 ? new : NULL;
    return error;
}
