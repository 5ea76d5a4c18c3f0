/*
 * Makes random changes in a directory tree, for tests of watches that see them.
 *
 *     tree_storm DIRECTORY SEED COUNT [PAUSE]
 *
 * DIRECTORY has "in", where the tree is, and "out", with which it exchanges trees. Makes COUNT
 * changes: files and directories are created, written, renamed (over others, exchanged, in and
 * out), linked and removed, also whole trees. Failures are as good as successes. PAUSE: after about
 * so many changes it yields the processor, so that readers come in between; 0: never.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t state;

static uint32_t random_below(uint32_t limit)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33) % limit;
}

/* Few names, so that the same ones come again; some are odd. */
static const char *const names[] = {"a", "b", "c", "d\n e", "\xff\xfe", "f"};

static void random_path(char *path, size_t size, const char *top, uint32_t depth)
{
    size_t end = (size_t)snprintf(path, size, "%s", top);
    for (uint32_t i = 0; i < depth; i++)
        end += (size_t)snprintf(path + end, size - end, "/%s",
                                names[random_below(sizeof names / sizeof *names)]);
}

static const char *some_path(void)
{
    static char paths[2][PATH_MAX];
    static int turn;
    char *path = paths[turn ^= 1];
    random_path(path, PATH_MAX, random_below(8) == 0 ? "out" : "in", 1 + random_below(4));
    return path;
}

static void remove_tree(const char *path)
{
    if (unlink(path) == 0 || rmdir(path) == 0)
        return;
    DIR *stream = opendir(path);
    const struct dirent *found;
    char below[PATH_MAX];
    while (stream != NULL && (found = readdir(stream)) != NULL) {
        if (strcmp(found->d_name, ".") == 0 || strcmp(found->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%.2000s/%s", path, found->d_name);
        remove_tree(below);
    }
    if (stream != NULL)
        closedir(stream);
    rmdir(path);
}

static void write_file(const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK | flags, 0600);
    if (fd < 0)
        return;
    if (write(fd, "x", random_below(2)) < 0)
        perror(path);
    close(fd);
}

/* A directory with some content at once. */
static void make_tree(const char *path, uint32_t depth)
{
    char below[PATH_MAX];
    if (mkdir(path, 0700) != 0)
        return;
    for (uint32_t i = random_below(4); i > 0; i--) {
        random_path(below, sizeof below, path, 1);
        if (depth > 0 && random_below(2) == 0)
            make_tree(below, depth - 1);
        else
            write_file(below, O_CREAT);
    }
}

static void make_change(void)
{
    const char *path = some_path();
    switch (random_below(12)) {
    case 0:
    case 1:
        write_file(path, O_CREAT);
        break;
    case 2:
        write_file(path, 0);
        break;
    case 3:
        mkdir(path, 0700);
        break;
    case 4:
        make_tree(path, 2);
        break;
    case 5:
    case 6:
    case 7:
        rename(path, some_path());
        break;
    case 8:
        renameat2(AT_FDCWD, path, AT_FDCWD, some_path(), RENAME_EXCHANGE);
        break;
    case 9:
        if (link(path, some_path()) != 0 && symlink("in", path) != 0)
            chmod(path, 0700);
        break;
    case 10:
        unlink(path);
        break;
    default:
        remove_tree(path);
    }
}

int main(int argc, char **argv)
{
    if (argc < 4 || chdir(argv[1]) != 0) {
        fprintf(stderr, "tree_storm DIRECTORY SEED COUNT [PAUSE]\n");
        return 2;
    }
    state = strtoull(argv[2], NULL, 10) * 2654435761u + 1;
    uint32_t pause = argc > 4 ? (uint32_t)atoi(argv[4]) : 0;
    for (int i = atoi(argv[3]); i > 0; i--) {
        make_change();
        if (pause > 0 && random_below(pause) == 0)
            sched_yield();
    }
    return 0;
}
