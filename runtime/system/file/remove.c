#include "system/file/remove.h"

#include "system/file/paths.h"
#include "system/file/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* Removes a name in the directory. -EISDIR: it is a directory. */
static int remove_name(const struct ml_tree *tree, const char *name)
{
    if (unlinkat(tree->level->fd, name, 0) == 0 || errno == ENOENT)
        return 0;
    return errno == EPERM ? -EISDIR : -errno;
}

/* A directory that may not be read is removed if it is empty. */
static int remove_unread(const struct ml_tree *tree, const char *name)
{
    bool is_gone = unlinkat(tree->level->fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT;
    return is_gone ? 0 : -EACCES;
}

static int visit(struct ml_tree *tree, const struct ml_tree_entry *entry)
{
    int error = entry->type == DT_DIR ? -EISDIR : remove_name(tree, entry->name);
    if (error != -EISDIR)
        return error;
    error = ml_tree_enter(tree, entry->name, false);
    if (error == -ENOTDIR || error == -ELOOP)
        error = remove_name(tree, entry->name);
    else if (error == -EACCES)
        error = remove_unread(tree, entry->name);
    return error == -ENOENT ? 0 : error;
}

/* Removes the directory that was left, by its name in the one above. */
static int remove_left(const struct ml_tree *tree)
{
    bool is_root = tree->level == NULL;
    int at = is_root ? AT_FDCWD : tree->level->fd;
    const char *name = is_root ? tree->path : ml_tree_name(tree);
    return unlinkat(at, name, AT_REMOVEDIR) == 0 || (!is_root && errno == ENOENT) ? 0 : -errno;
}

/* Until the tree's root has been removed. */
static int remove_all(struct ml_tree *tree, const struct ml_file_call *call)
{
    struct ml_tree_entry entry;
    int error = 0;
    while (error == 0 && tree->level != NULL) {
        int found = ml_tree_next(tree, &entry);
        if (ml_file_call_is_given_up(call))
            error = -ECANCELED;
        else if (found < 0)
            error = found;
        else if (found > 0)
            error = visit(tree, &entry);
        else if ((error = ml_tree_leave(tree)) == 0)
            error = remove_left(tree);
    }
    return error;
}

static int remove_directory(struct ml_file_call *call)
{
    struct ml_tree tree;
    int error = ml_tree_init(&tree, call->path);
    if (error == 0)
        error = ml_tree_enter(&tree, NULL, false);
    if (error == 0)
        error = remove_all(&tree, call);
    if (error != 0 && tree.path != NULL)
        call->data = strdup(tree.path);
    ml_tree_release(&tree);
    return error;
}

/* Whether the path says which directory it is, and not what it is called. */
static bool has_no_name(const char *path)
{
    size_t size = strlen(path);
    while (size > 0 && path[size - 1] == '/')
        size--;
    size_t dots = 0;
    while (dots < size && path[size - 1 - dots] == '.')
        dots++;
    bool is_last = dots == size || path[size - 1 - dots] == '/';
    return *path != '\0' && (size == 0 || (is_last && (dots == 1 || dots == 2)));
}

int ml_file_remove_tree(struct ml_file_call *call)
{
    if (has_no_name(call->path))
        return -EINVAL;
    int error = ml_file_remove(call);
    return error == -ENOTEMPTY || error == -EEXIST ? remove_directory(call) : error;
}
