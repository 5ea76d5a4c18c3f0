/* system/file/tree.c: a visit enters what it was told to, and finds its way back. */
#include "system/file/tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char place[] = "/tmp/tree.XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int leave(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", place);
    return chdir("/") == 0 ? system(command) : -1;
}

static int count_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count;
}

/* Makes a chain of directories "d", and goes down it with the tree. */
static void go_down(struct ml_tree *tree, int levels)
{
    int at = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    for (int i = 0; i < levels; i++) {
        assert_int_equal(mkdirat(at, "d", 0700), 0);
        int next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        close(at);
        at = next;
    }
    close(at);
    assert_int_equal(ml_tree_init(tree, "."), 0);
    assert_int_equal(ml_tree_enter(tree, NULL, false), 0);
    for (int i = 0; i < levels; i++)
        assert_int_equal(ml_tree_enter(tree, "d", false), 0);
}

static void test_few_descriptors_are_open_however_deep_it_is(void **state)
{
    struct ml_tree tree;
    int before = count_descriptors(), levels = 3000;
    (void)state;
    go_down(&tree, levels);
    assert_true(count_descriptors() <= before + 32);
    assert_int_equal(tree.depth, levels + 1);
    assert_int_equal(tree.path_size, 1 + 2 * levels);
    for (int i = levels; i > 0; i--) {
        assert_int_equal(ml_tree_leave(&tree), 0);
        assert_string_equal(ml_tree_name(&tree), "d");
        assert_int_equal(unlinkat(tree.level->fd, "d", AT_REMOVEDIR), 0);
    }
    assert_int_equal(ml_tree_leave(&tree), 0);
    assert_null(tree.level);
    ml_tree_release(&tree);
    assert_int_equal(count_descriptors(), before);
}

static void test_it_gets_on_when_there_are_no_more_descriptors(void **state)
{
    struct ml_tree tree;
    struct rlimit before, few;
    (void)state;
    assert_int_equal(mkdir("limited", 0700), 0);
    assert_int_equal(chdir("limited"), 0);
    getrlimit(RLIMIT_NOFILE, &before);
    few = (struct rlimit){.rlim_cur = (rlim_t)count_descriptors() + 6, .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &few);
    go_down(&tree, 20);
    ml_tree_release(&tree);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_int_equal(chdir(".."), 0);
}

static void test_a_link_in_a_directorys_place_is_not_entered(void **state)
{
    struct ml_tree tree;
    (void)state;
    assert_int_equal(mkdir("outside", 0700), 0);
    assert_int_equal(mkdir("root", 0700), 0);
    assert_int_equal(symlink("../outside", "root/link"), 0);
    assert_int_equal(ml_tree_init(&tree, "root"), 0);
    assert_int_equal(ml_tree_enter(&tree, NULL, false), 0);
    int error = ml_tree_enter(&tree, "link", false);
    assert_true(error == -ENOTDIR || error == -ELOOP);
    assert_string_equal(tree.path, "root");
    assert_int_equal(ml_tree_enter(&tree, "link", true), 0);
    assert_string_equal(tree.path, "root/link");
    assert_int_equal(ml_tree_leave(&tree), 0);
    assert_int_equal(ml_tree_leave(&tree), 0);
    ml_tree_release(&tree);
}

static void test_a_link_to_a_directory_above_is_told(void **state)
{
    struct ml_tree tree;
    (void)state;
    assert_int_equal(mkdir("circle", 0700), 0);
    assert_int_equal(symlink(".", "circle/link"), 0);
    assert_int_equal(ml_tree_init(&tree, "circle"), 0);
    assert_int_equal(ml_tree_enter(&tree, NULL, false), 0);
    assert_int_equal(ml_tree_enter(&tree, "link", true), -EDEADLK);
    ml_tree_release(&tree);
}

/* Somebody moves a directory out while the visit is deep in it: its "..", opened again, is not
 * where the visit came from. */
static void test_a_directory_that_was_moved_away_leads_nowhere(void **state)
{
    struct ml_tree tree;
    int before = count_descriptors();
    (void)state;
    assert_int_equal(mkdir("moved", 0700), 0);
    assert_int_equal(mkdir("elsewhere", 0700), 0);
    assert_int_equal(chdir("moved"), 0);
    go_down(&tree, 40);
    assert_int_equal(rename("d/d", "../elsewhere/d"), 0);
    int error = 0, left = 0;
    while (error == 0 && tree.level != NULL) {
        error = ml_tree_leave(&tree);
        left++;
    }
    assert_int_equal(error, -ESTALE);
    assert_int_equal(left, 39); /* from level 40 to 1, whose ".." is elsewhere */
    assert_null(tree.level);
    ml_tree_release(&tree);
    assert_int_equal(chdir(".."), 0);
    assert_int_equal(count_descriptors(), before);
}

static void test_all_names_are_found_once(void **state)
{
    enum { NAMES = 3000 };
    static bool seen[NAMES];
    struct ml_tree tree;
    struct ml_tree_entry entry;
    int found, count = 0;
    (void)state;
    assert_int_equal(mkdir("names", 0700), 0);
    assert_int_equal(chdir("names"), 0);
    for (int i = 0; i < NAMES; i++) {
        char name[32];
        snprintf(name, sizeof name, "a rather long name %d", i);
        close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    assert_int_equal(chdir(".."), 0);
    assert_int_equal(ml_tree_init(&tree, "names/"), 0);
    assert_int_equal(ml_tree_enter(&tree, NULL, false), 0);
    while ((found = ml_tree_next(&tree, &entry)) > 0) {
        int number = atoi(entry.name + strlen("a rather long name "));
        assert_false(seen[number]);
        seen[number] = true;
        assert_memory_equal(tree.path, "names/a rather", 14);
        count++;
    }
    assert_int_equal(found, 0);
    assert_int_equal(count, NAMES);
    assert_string_equal(tree.path, "names/");
    ml_tree_release(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_descriptors_are_open_however_deep_it_is),
        cmocka_unit_test(test_it_gets_on_when_there_are_no_more_descriptors),
        cmocka_unit_test(test_a_link_in_a_directorys_place_is_not_entered),
        cmocka_unit_test(test_a_link_to_a_directory_above_is_told),
        cmocka_unit_test(test_a_directory_that_was_moved_away_leads_nowhere),
        cmocka_unit_test(test_all_names_are_found_once),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
