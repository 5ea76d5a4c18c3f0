#include "system/file/walk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A portion: so many bytes of records, more or less. */
enum { PORTION = 48 * 1024 };

/* How a record begins in the buffer; the path with its zero follows. */
struct head {
    uint32_t size; /* of the path */
    int16_t error;
    unsigned char type;
};

struct ml_walk *ml_walk_new(const char *path, unsigned depth, bool follows, char *skipped)
{
    struct ml_walk *walk = calloc(1, sizeof *walk);
    if (walk == NULL || ml_tree_init(&walk->tree, path) != 0) {
        free(skipped);
        free(walk);
        return NULL;
    }
    walk->users = 1;
    walk->depth = depth;
    walk->follows = follows;
    walk->skipped = skipped;
    return walk;
}

void ml_walk_leave(struct ml_walk *walk)
{
    if (walk == NULL || atomic_fetch_sub(&walk->users, 1) > 1)
        return;
    ml_tree_release(&walk->tree);
    free(walk->skipped);
    free(walk->buffer);
    free(walk);
}

static void give_back(void *object)
{
    struct ml_walk *walk = object;
    atomic_store_explicit(&walk->is_lent, false, memory_order_release);
    ml_walk_leave(walk);
}

void ml_walk_lend(struct ml_walk *walk, struct ml_file_call *call)
{
    atomic_fetch_add(&walk->users, 1);
    atomic_store_explicit(&walk->is_lent, true, memory_order_relaxed);
    call->object = walk;
    call->free_object = give_back;
}

bool ml_walk_next(struct ml_walk *walk, struct ml_walk_record *record)
{
    struct head head;
    if (walk->at == walk->size)
        return false;
    memcpy(&head, walk->buffer + walk->at, sizeof head);
    *record = (struct ml_walk_record){.path = walk->buffer + walk->at + sizeof head,
                                      .path_size = head.size,
                                      .type = head.type,
                                      .error = head.error};
    walk->at += sizeof head + head.size + 1;
    return true;
}

/* Adds a record about the tree's path. */
static int tell(struct ml_walk *walk, unsigned char type, int error)
{
    struct head head = {
        .size = (uint32_t)walk->tree.path_size, .error = (int16_t)error, .type = type};
    size_t size = sizeof head + head.size + 1;
    if (walk->room - walk->size < size) {
        size_t room = walk->room + size + PORTION;
        char *buffer = realloc(walk->buffer, room);
        if (buffer == NULL)
            return -ENOMEM;
        walk->buffer = buffer;
        walk->room = room;
    }
    memcpy(walk->buffer + walk->size, &head, sizeof head);
    memcpy(walk->buffer + walk->size + sizeof head, walk->tree.path, head.size + 1u);
    walk->size += size;
    return 0;
}

static bool is_skipped(const struct ml_walk *walk, const char *name)
{
    const char *at = walk->skipped;
    while (at != NULL && *at != '\0' && strcmp(at, name) != 0)
        at += strlen(at) + 1;
    return at != NULL && *at != '\0';
}

/* The type of a name whose disk does not tell. DT_UNKNOWN: it is not there any more. */
static unsigned char type_of(const struct ml_walk *walk, const struct ml_tree_entry *entry)
{
    struct stat status;
    if (entry->type != DT_UNKNOWN)
        return entry->type;
    int error = fstatat(walk->tree.level->fd, entry->name, &status, AT_SYMLINK_NOFOLLOW);
    return error == 0 ? IFTODT(status.st_mode) : DT_UNKNOWN;
}

/* Enters what may be a directory. What has vanished, is none, or is above, is passed over. */
static int enter(struct ml_walk *walk, const struct ml_tree_entry *entry, unsigned char type)
{
    if (walk->tree.depth >= walk->depth || (type != DT_DIR && !(walk->follows && type == DT_LNK)))
        return 0;
    int error = ml_tree_enter(&walk->tree, entry->name, type == DT_LNK);
    if (error == -ENOMEM)
        return error;
    bool is_nothing = error == -ENOENT || error == -ENOTDIR || error == -ELOOP || error == -EDEADLK;
    return error == 0 || is_nothing ? 0 : tell(walk, type, error);
}

static int visit(struct ml_walk *walk, const struct ml_tree_entry *entry)
{
    unsigned char type = type_of(walk, entry);
    if (type == DT_UNKNOWN || is_skipped(walk, entry->name))
        return 0;
    int error = tell(walk, type, 0);
    return error == 0 ? enter(walk, entry, type) : error;
}

/* The root is not told of, but for its errors. */
static int begin(struct ml_walk *walk)
{
    walk->has_begun = true;
    int error = ml_tree_enter(&walk->tree, NULL, true);
    return error == 0 || error == -ENOMEM ? error : tell(walk, DT_DIR, error);
}

static int leave(struct ml_walk *walk)
{
    int error = ml_tree_leave(&walk->tree);
    return error == 0 ? 0 : tell(walk, DT_DIR, error);
}

int ml_walk_fill(struct ml_file_call *call)
{
    struct ml_walk *walk = call->object;
    struct ml_tree_entry entry;
    walk->size = walk->at = 0;
    int error = walk->has_begun ? 0 : begin(walk);
    while (error == 0 && walk->size < PORTION && walk->tree.level != NULL &&
           !ml_file_call_is_given_up(call)) {
        int found = ml_tree_next(&walk->tree, &entry);
        error = found < 0 ? found : found > 0 ? visit(walk, &entry) : leave(walk);
    }
    walk->has_ended = walk->tree.level == NULL;
    return error;
}
