/* io/beneath.c: nothing outside of the root is opened, in the kernel's way and step by step. */
#include "io/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char place[] = "/tmp/beneath.XXXXXX";

static void make(const char *name, const char *text)
{
    int file = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(write(file, text, 1), 1);
    close(file);
}

static int make_tree(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(place));
    assert_int_equal(chdir(place), 0);
    make("outside", "o");
    assert_int_equal(mkdir("root", 0700), 0);
    assert_int_equal(chdir("root"), 0);
    assert_int_equal(mkdir("sub", 0700), 0);
    make("a", "a");
    make("sub/b", "b");
    assert_int_equal(symlink("../outside", "out"), 0);
    assert_int_equal(symlink("..", "up"), 0);
    assert_int_equal(symlink("/proc/self/root", "magic"), 0);
    assert_int_equal(symlink("sub", "to_sub"), 0);
    assert_int_equal(symlink("a", "to_a"), 0);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    return 0;
}

static int remove_tree(void **state)
{
    char command[64];
    (void)state;
    snprintf(command, sizeof command, "rm -rf %s", place);
    return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

/* The first byte of what is opened; 0: a directory or FIFO; or the error. */
static int first_byte(const char *path, bool is_plain)
{
    char byte = 0;
    int root = ml_beneath_root(".");
    assert_true(root >= 0);
    int file = ml_beneath_open(root, path, is_plain);
    close(root);
    if (file < 0)
        return file;
    if (read(file, &byte, 1) < 0)
        byte = 0;
    close(file);
    return byte;
}

static void test_what_lies_below_is_opened(void **state)
{
    (void)state;
    for (int is_plain = 0; is_plain <= 1; is_plain++) {
        assert_int_equal(first_byte("a", is_plain), 'a');
        assert_int_equal(first_byte("sub/b", is_plain), 'b');
        assert_int_equal(first_byte("./sub/./b", is_plain), 'b');
        assert_int_equal(first_byte("sub", is_plain), 0);
        assert_int_equal(first_byte("", is_plain), 0);
        assert_int_equal(first_byte("fifo", is_plain), 0);
        assert_int_equal(first_byte("none", is_plain), -ENOENT);
        assert_int_equal(first_byte("a/b", is_plain), -ENOTDIR);
    }
}

static void test_nothing_else_is(void **state)
{
    static const char *const paths[] = {"..",
                                        "../outside",
                                        "sub/../../outside",
                                        "out",
                                        "up",
                                        "up/outside",
                                        "magic",
                                        "magic/tmp",
                                        "/",
                                        "/etc/hostname",
                                        "sub/../../root/a",
                                        "../root/a",
                                        "sub/../.."};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        assert_true(first_byte(paths[i], false) < 0);
        assert_true(first_byte(paths[i], true) < 0);
    }
    assert_int_equal(first_byte("../outside", false), -EXDEV);
    assert_int_equal(first_byte("../outside", true), -EXDEV);
}

static void test_step_by_step_no_link_is_followed(void **state)
{
    (void)state;
    assert_int_equal(first_byte("to_a", true), -ELOOP);
    assert_true(first_byte("to_sub/b", true) < 0);
    assert_int_equal(first_byte("to_a", false), 'a');
    assert_int_equal(first_byte("to_sub/b", false), 'b');
}

static void test_no_descriptor_is_left(void **state)
{
    (void)state;
    int before = dup(0);
    close(before);
    test_nothing_else_is(state);
    test_what_lies_below_is_opened(state);
    int after = dup(0);
    close(after);
    assert_int_equal(after, before);
}

static void test_a_root_is_a_directory(void **state)
{
    (void)state;
    assert_int_equal(ml_beneath_root("a"), -ENOTDIR);
    assert_int_equal(ml_beneath_root("none"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_lies_below_is_opened),
        cmocka_unit_test(test_nothing_else_is),
        cmocka_unit_test(test_step_by_step_no_link_is_followed),
        cmocka_unit_test(test_no_descriptor_is_left),
        cmocka_unit_test(test_a_root_is_a_directory),
    };
    return cmocka_run_group_tests(tests, make_tree, remove_tree);
}
