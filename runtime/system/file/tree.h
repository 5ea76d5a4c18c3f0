/*
 * A place in a tree of directories, for those that visit all of it: the directory that it is in,
 * with the names there, and the way back. Blocks as files do. Knows nothing of what is done at each
 * name.
 *
 * A directory is entered through its parent's descriptor and never through a link, unless asked to,
 * so that nobody who moves things meanwhile leads the visit elsewhere. Few descriptors are open
 * however deep the tree is: those further up are closed, and opened again on the way back, by "..",
 * if they are still the same directories.
 */
#ifndef ML_SYSTEM_FILE_TREE_H
#define ML_SYSTEM_FILE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct ml_tree_level {
    struct ml_tree_level *above;
    int fd; /* -1: closed for now */
    bool by_link;
    dev_t device;
    ino_t number;
    char *names; /* records of getdents64() */
    size_t size;
    size_t at;
    size_t path_size; /* of the path that leads here */
};

struct ml_tree {
    struct ml_tree_level *level; /* where it is; NULL: nowhere */
    unsigned depth;              /* levels */
    unsigned open;               /* of which so many have a descriptor: the last ones */
    char *path; /* of the name, or of the directory if there is none; ends with 0 */
    size_t path_size;
    size_t path_room;
};

/* A name in the directory. Valid until the level is left. */
struct ml_tree_entry {
    const char *name;
    unsigned char type; /* DT_DIR and the like; DT_UNKNOWN on some disks */
};

/* A tree that is nowhere. `path`: what its paths begin with. -ENOMEM. */
int ml_tree_init(struct ml_tree *tree, const char *path);
void ml_tree_release(struct ml_tree *tree);

/*
 * Enters a directory: the root at the tree's path (name NULL), or the name in the directory where
 * it is. 0; -ENOTDIR, -ELOOP: it is no directory, or a link and not `follows`; -EDEADLK: it is a
 * directory above (only with `follows`); or another error. With an error it stays where it was.
 */
int ml_tree_enter(struct ml_tree *tree, const char *name, bool follows);

/* The next name in the directory, with tree->path: 1; 0: there is none any more; -ENOMEM. */
int ml_tree_next(struct ml_tree *tree, struct ml_tree_entry *entry);

/* Back to the directory above, where the name of the one left is in tree->path; out of the tree
 * from its root. 0; or an error: the directory above is not there any more, and the tree is
 * nowhere. */
int ml_tree_leave(struct ml_tree *tree);

/* The name of the directory just left in the one above: the last part of tree->path. */
const char *ml_tree_name(const struct ml_tree *tree);

#endif
