#include "system/file/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Levels with a descriptor, and the bytes for names that a directory gets at first. */
enum { OPEN_LEVELS = 32, FIRST_NAMES = 32 * 1024, PATH_ROOM = 512 };

/* ---- the path ---- */

static int set_path(struct ml_tree *tree, size_t start, const char *text)
{
    size_t size = start + strlen(text);
    if (size + 2 > tree->path_room) {
        size_t room = 2 * (size + PATH_ROOM);
        char *path = realloc(tree->path, room);
        if (path == NULL)
            return -ENOMEM;
        tree->path = path;
        tree->path_room = room;
    }
    strcpy(tree->path + start, text);
    tree->path_size = size;
    return 0;
}

static void cut_path(struct ml_tree *tree, size_t size)
{
    tree->path[size] = '\0';
    tree->path_size = size;
}

/* Sets the path to that of a name in the directory. */
static int name_path(struct ml_tree *tree, const char *name)
{
    size_t size = tree->level->path_size;
    if (size > 0 && tree->path[size - 1] != '/')
        tree->path[size++] = '/';
    return set_path(tree, size, name);
}

const char *ml_tree_name(const struct ml_tree *tree)
{
    const char *slash = strrchr(tree->path, '/');
    return slash != NULL ? slash + 1 : tree->path;
}

int ml_tree_init(struct ml_tree *tree, const char *path)
{
    *tree = (struct ml_tree){0};
    return set_path(tree, 0, path);
}

/* ---- levels ---- */

static void free_level(struct ml_tree_level *level)
{
    if (level->fd >= 0)
        close(level->fd);
    free(level->names);
    free(level);
}

void ml_tree_release(struct ml_tree *tree)
{
    while (tree->level != NULL) {
        struct ml_tree_level *level = tree->level;
        tree->level = level->above;
        free_level(level);
    }
    free(tree->path);
    *tree = (struct ml_tree){0};
}

/* Closes the descriptor furthest up that can be opened again. False: there is none. */
static bool close_one(struct ml_tree *tree)
{
    struct ml_tree_level *found = NULL;
    bool is_entered_by_link = true; /* the level below the one looked at; the last one stays open */
    for (struct ml_tree_level *level = tree->level; level != NULL; level = level->above) {
        if (level->fd >= 0 && !is_entered_by_link)
            found = level;
        is_entered_by_link = level->by_link;
    }
    if (found == NULL)
        return false;
    close(found->fd);
    found->fd = -1;
    tree->open--;
    return true;
}

static int open_directory(struct ml_tree *tree, const char *name, bool follows)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NONBLOCK | O_CLOEXEC | (follows ? 0 : O_NOFOLLOW);
    int at = tree->level != NULL ? tree->level->fd : AT_FDCWD, fd;
    do
        fd = openat(at, name != NULL ? name : tree->path, flags);
    while (fd < 0 && (errno == EINTR || (errno == EMFILE && close_one(tree))));
    return fd < 0 ? -errno : fd;
}

/* Reads all names of the directory. A directory that was removed has none. */
static int read_names(struct ml_tree_level *level)
{
    size_t room = 0;
    ssize_t count = 1;
    while (count > 0) {
        if (room - level->size < FIRST_NAMES / 2) {
            room = room == 0 ? FIRST_NAMES : room * 2;
            char *names = realloc(level->names, room);
            if (names == NULL)
                return -ENOMEM;
            level->names = names;
        }
        count = getdents64(level->fd, level->names + level->size, room - level->size);
        level->size += count > 0 ? (size_t)count : 0;
    }
    int error = count < 0 && errno != ENOENT ? -errno : 0;
    char *names = realloc(level->names, level->size + 1);
    level->names = names != NULL ? names : level->names;
    return error;
}

static bool is_above(const struct ml_tree *tree, const struct ml_tree_level *level)
{
    for (const struct ml_tree_level *up = tree->level; up != NULL; up = up->above)
        if (up->device == level->device && up->number == level->number)
            return true;
    return false;
}

/* Notes which directory it is, and reads it. */
static int begin_level(struct ml_tree *tree, struct ml_tree_level *level, bool follows)
{
    struct stat status;
    if (fstat(level->fd, &status) != 0)
        return -errno;
    level->device = status.st_dev;
    level->number = status.st_ino;
    return follows && is_above(tree, level) ? -EDEADLK : read_names(level);
}

static void add_level(struct ml_tree *tree, struct ml_tree_level *level)
{
    level->above = tree->level;
    level->path_size = tree->path_size;
    tree->level = level;
    tree->depth++;
    if (++tree->open > OPEN_LEVELS)
        close_one(tree);
}

int ml_tree_enter(struct ml_tree *tree, const char *name, bool follows)
{
    struct ml_tree_level *level = calloc(1, sizeof *level);
    if (level == NULL)
        return -ENOMEM;
    level->fd = open_directory(tree, name, follows);
    level->by_link = follows;
    int error = level->fd < 0 ? level->fd : begin_level(tree, level, follows);
    if (error == 0 && name != NULL)
        error = name_path(tree, name);
    if (error == 0)
        add_level(tree, level);
    else
        free_level(level);
    return error;
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

int ml_tree_next(struct ml_tree *tree, struct ml_tree_entry *entry)
{
    struct ml_tree_level *level = tree->level;
    while (level->at < level->size) {
        const struct dirent64 *record = (const void *)(level->names + level->at);
        level->at += record->d_reclen;
        if (is_dots(record->d_name))
            continue;
        *entry = (struct ml_tree_entry){.name = record->d_name, .type = record->d_type};
        int error = name_path(tree, entry->name);
        return error == 0 ? 1 : error;
    }
    cut_path(tree, level->path_size);
    return 0;
}

/* Opens the directory above the one at `fd` again, if it is the one that it was. */
static int reopen(struct ml_tree_level *level, int fd)
{
    struct stat status;
    level->fd = openat(fd, "..", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (level->fd < 0 || fstat(level->fd, &status) != 0)
        return -errno;
    bool is_same = status.st_dev == level->device && status.st_ino == level->number;
    return is_same ? 0 : -ESTALE;
}

int ml_tree_leave(struct ml_tree *tree)
{
    struct ml_tree_level *level = tree->level, *above = level->above;
    int error = 0;
    cut_path(tree, level->path_size);
    if (above != NULL && above->fd < 0) {
        error = reopen(above, level->fd);
        tree->open += above->fd >= 0;
    }
    tree->level = above;
    tree->depth--;
    tree->open--;
    free_level(level);
    while (error != 0 && tree->level != NULL) {
        level = tree->level;
        tree->level = level->above;
        free_level(level);
    }
    return error;
}
