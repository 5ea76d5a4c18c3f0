/* system/file/new_file.c: a file is there whole, or as it was. */
#include "system/file/new_file.h"

#include "base/error.h"

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
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char place[] = "/tmp/new_file.XXXXXX";

static int enter(void **state)
{
    (void)state;
    return mkdtemp(place) != NULL ? chdir(place) : -1;
}

static int leave(void **state)
{
    (void)state;
    unlink("file");
    rmdir("dir");
    return chdir("/") == 0 ? rmdir(place) : -1;
}

static int count_entries(void)
{
    int count = 0;
    DIR *dir = opendir(".");
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static const char *read_file(const char *name)
{
    static char text[64];
    int file = open(name, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? 0 : read(file, text, sizeof text - 1);
    text[size] = '\0';
    if (file >= 0)
        close(file);
    return text;
}

static void test_it_appears_when_it_is_committed(void **state)
{
    struct ml_new_file file;
    (void)state;
    assert_int_equal(ml_new_file_open(&file, "file", 0666), 0);
    assert_int_equal(ml_new_file_write(&file, "one", 3), 0);
    assert_int_equal(access("file", F_OK), -1);
    assert_int_equal(ml_new_file_commit(&file, false), 0);
    ml_new_file_close(&file);
    assert_string_equal(read_file("file"), "one");
    assert_int_equal(count_entries(), 1);
}

static void test_what_was_there_stays_until_then_with_its_permissions(void **state)
{
    struct ml_new_file file;
    struct stat stat_now;
    (void)state;
    assert_int_equal(chmod("file", 0640), 0);
    assert_int_equal(ml_new_file_open(&file, "file", 0666), 0);
    assert_int_equal(ml_new_file_write(&file, "two", 3), 0);
    assert_string_equal(read_file("file"), "one");
    ml_new_file_close(&file);
    assert_string_equal(read_file("file"), "one");
    assert_int_equal(count_entries(), 1);
    assert_int_equal(ml_new_file_open(&file, "file", 0666), 0);
    assert_int_equal(ml_new_file_write(&file, "two", 3), 0);
    assert_int_equal(ml_new_file_commit(&file, false), 0);
    assert_string_equal(read_file("file"), "two");
    assert_int_equal(stat("file", &stat_now), 0);
    assert_int_equal(stat_now.st_mode & 0777, 0640);
}

static void test_other_places_are_errors_and_nothing_is_left(void **state)
{
    struct ml_new_file file;
    (void)state;
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(ml_new_file_open(&file, "dir", 0666), -EISDIR);
    assert_int_equal(ml_new_file_open(&file, "/dev/null", 0666), -ML_ENOTFILE);
    assert_int_equal(ml_new_file_open(&file, "none/file", 0666), -ENOENT);
    ml_new_file_close(&file);
    assert_int_equal(count_entries(), 2);
    assert_int_equal(rmdir("dir"), 0);
}

static void test_a_full_disk_is_told(void **state)
{
    struct ml_new_file file;
    (void)state;
    assert_int_equal(ml_new_file_open(&file, "file", 0666), 0);
    int full = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_int_equal(dup2(full, file.number), file.number);
    close(full);
    assert_int_equal(ml_new_file_write(&file, "x", 1), -ENOSPC);
    ml_new_file_close(&file);
    assert_string_equal(read_file("file"), "two");
    assert_int_equal(count_entries(), 1);
}

static void test_a_link_stays_and_the_file_behind_it_is_replaced(void **state)
{
    struct ml_new_file file;
    struct stat stat_now;
    (void)state;
    assert_int_equal(symlink("file", "link"), 0);
    assert_int_equal(ml_new_file_open(&file, "link", 0666), 0);
    assert_int_equal(ml_new_file_write(&file, "three", 5), 0);
    assert_int_equal(ml_new_file_commit(&file, true), 0);
    assert_string_equal(read_file("file"), "three");
    assert_int_equal(lstat("link", &stat_now), 0);
    assert_true(S_ISLNK(stat_now.st_mode));
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(symlink("link", "link"), 0);
    assert_int_equal(ml_new_file_open(&file, "link", 0666), -ELOOP);
    assert_int_equal(unlink("link"), 0);
    assert_int_equal(count_entries(), 1);
}

static void test_its_directory_may_move_meanwhile(void **state)
{
    struct ml_new_file file;
    (void)state;
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(ml_new_file_open(&file, "dir/file", 0600), 0);
    assert_int_equal(rename("dir", "moved"), 0);
    assert_int_equal(mkdir("dir", 0700), 0);
    assert_int_equal(ml_new_file_write(&file, "x", 1), 0);
    assert_int_equal(ml_new_file_commit(&file, true), 0);
    assert_string_equal(read_file("moved/file"), "x");
    assert_int_equal(access("dir/file", F_OK), -1);
    assert_int_equal(unlink("moved/file"), 0);
    assert_int_equal(rmdir("moved"), 0);
    assert_int_equal(rmdir("dir"), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_it_appears_when_it_is_committed),
        cmocka_unit_test(test_what_was_there_stays_until_then_with_its_permissions),
        cmocka_unit_test(test_other_places_are_errors_and_nothing_is_left),
        cmocka_unit_test(test_a_full_disk_is_told),
        cmocka_unit_test(test_a_link_stays_and_the_file_behind_it_is_replaced),
        cmocka_unit_test(test_its_directory_may_move_meanwhile),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
