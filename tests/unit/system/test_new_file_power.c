/*
 * system/file/new_file.c, and system/file/whole.c above it: a loss of power at any moment leaves
 * the old file whole or the new one. No test cuts the power; POSIX promises what has been synced
 * and nothing else, so the order of the calls is what can be tested: the linker sends them here
 * first (tests/CMakeLists.txt), where they are recorded, and one of them can be made to fail.
 */
#include "system/file/new_file.h"
#include "system/file/whole.h"

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

enum call { CREATE, MODE, WRITE, SYNC, CLOSE, RENAME };

struct step {
    enum call call;
    ino_t inode; /* of the file or the directory */
};

static struct step steps[64];
static size_t step_count;
static size_t failing; /* 1: the first step; 0: none */
static int failure;
static bool is_recording;

#define REAL(result, name, parameters)                                                             \
    result __real_##name parameters;                                                               \
    result __wrap_##name parameters;

REAL(ssize_t, write, (int, const void *, size_t))
REAL(int, fsync, (int))
REAL(int, fchmod, (int, mode_t))
REAL(int, close, (int))
REAL(int, renameat, (int, const char *, int, const char *))
REAL(int, openat, (int, const char *, int, ...))

/* Notes the step; true: it is to fail. */
static bool fails(enum call call, int fd)
{
    struct stat there;
    if (!is_recording || fstat(fd, &there) != 0)
        return false;
    assert_true(step_count < sizeof steps / sizeof *steps);
    steps[step_count++] = (struct step){call, there.st_ino};
    errno = failure;
    return step_count == failing;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
    return fails(WRITE, fd) ? -1 : __real_write(fd, data, size);
}

int __wrap_fsync(int fd)
{
    return fails(SYNC, fd) ? -1 : __real_fsync(fd);
}

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails(MODE, fd) ? -1 : __real_fchmod(fd, mode);
}

/* A close that fails closes all the same. Only that of the file counts: a disk tells by it what it
 * could not write. */
int __wrap_close(int fd)
{
    struct stat there;
    bool is_file = is_recording && fstat(fd, &there) == 0 && S_ISREG(there.st_mode);
    bool is_failing = is_file && fails(CLOSE, fd);
    int result = __real_close(fd);
    errno = is_failing ? failure : errno;
    return is_failing ? -1 : result;
}

int __wrap_renameat(int from, const char *old, int to, const char *new)
{
    return fails(RENAME, to) ? -1 : __real_renameat(from, old, to, new);
}

int __wrap_openat(int at, const char *path, int flags, ...)
{
    va_list more;
    va_start(more, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    return (flags & O_CREAT) != 0 && fails(CREATE, at) ? -1 : __real_openat(at, path, flags, mode);
}

/* ---- the place ---- */

static char place[] = "/tmp/new_file_power.XXXXXX";
static char text[3 * 1024 * 1024]; /* is written in several pieces */

static int enter(void **state)
{
    (void)state;
    memset(text, 'n', sizeof text);
    if (mkdtemp(place) == NULL || chdir(place) != 0 || mkdir("far", 0700) != 0)
        return -1;
    return symlink("far/file", "link");
}

static int leave(void **state)
{
    (void)state;
    unlink("link");
    unlink("far/file");
    rmdir("far");
    return chdir("/") == 0 ? rmdir(place) : -1;
}

static void put_old_file(void)
{
    int file = open("far/file", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
    assert_true(file >= 0);
    assert_int_equal(__real_write(file, "old", 3), 3);
    __real_close(file);
}

static ino_t inode_of(const char *path)
{
    struct stat there;
    assert_int_equal(stat(path, &there), 0);
    return there.st_ino;
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *dir = opendir(path);
    while (readdir(dir) != NULL)
        count++;
    closedir(dir);
    return count - 2;
}

static bool is_whole_new(void)
{
    static char found[sizeof text + 1];
    int file = open("far/file", O_RDONLY | O_CLOEXEC);
    ssize_t size = read(file, found, sizeof found);
    __real_close(file);
    bool is_old = size == 3 && memcmp(found, "old", 3) == 0;
    bool is_new = size == (ssize_t)sizeof text && memcmp(found, text, sizeof text) == 0;
    assert_true(is_old || is_new);
    return is_new;
}

/* The n-th call fails with this error (0: none does); the result of the whole. */
static int replace(size_t n, int error, bool is_synced)
{
    struct ml_file_call call = {
        .path = "link", .input = text, .input_size = sizeof text, .is_synced = is_synced};
    step_count = 0;
    failing = n;
    failure = error;
    is_recording = true;
    int result = ml_file_replace(&call);
    is_recording = false;
    return result;
}

static size_t expect(size_t at, enum call call, ino_t inode)
{
    assert_true(at < step_count);
    assert_int_equal(steps[at].call, call);
    assert_int_equal(steps[at].inode, inode);
    return at + 1;
}

/* ---- tests ---- */

static void test_the_bytes_are_on_the_disk_before_the_name_leads_to_them(void **state)
{
    (void)state;
    put_old_file();
    ino_t directory = inode_of("far");
    assert_int_equal(replace(0, 0, true), 0);
    ino_t file = inode_of("far/file");
    size_t at = expect(0, CREATE, directory);
    at = expect(at, MODE, file);
    for (size_t done = 0; done < sizeof text; done += 1024 * 1024)
        at = expect(at, WRITE, file);
    at = expect(at, SYNC, file);
    at = expect(at, CLOSE, file);
    at = expect(at, RENAME, directory);
    at = expect(at, SYNC, directory); /* that of the file, not that of the link */
    assert_int_equal(at, step_count);
}

static void test_whatever_fails_the_old_file_stays_whole_until_it_is_replaced(void **state)
{
    (void)state;
    put_old_file();
    assert_int_equal(replace(0, 0, true), 0);
    size_t all = step_count;
    static const int errors[] = {EIO, ENOSPC, EDQUOT};
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        for (size_t n = 1; n <= all; n++) {
            put_old_file();
            assert_int_equal(replace(n, errors[i], true), -errors[i]);
            assert_int_equal(is_whole_new(), n == all); /* the last: the sync of the directory */
            assert_int_equal(count_entries("far"), 1);
        }
}

/* What is not told is not on the disk, either: a caller who gets 0 has the new file for good. */
static void test_nothing_is_done_after_a_failure_that_could_replace_the_file(void **state)
{
    (void)state;
    put_old_file();
    assert_int_equal(replace(0, 0, true), 0);
    size_t before_rename = step_count - 2;
    for (size_t n = 1; n <= before_rename; n++) {
        put_old_file();
        replace(n, EIO, true);
        for (size_t i = n; i < step_count; i++)
            assert_int_equal(steps[i].call, CLOSE);
    }
}

static void test_a_directory_that_cannot_be_synced_is_no_failure(void **state)
{
    (void)state;
    put_old_file();
    assert_int_equal(replace(0, 0, true), 0);
    size_t last = step_count;
    put_old_file();
    assert_int_equal(replace(last, EINVAL, true), 0); /* as some network disks say */
    assert_true(is_whole_new());
}

static void test_without_the_wish_nothing_is_synced(void **state)
{
    (void)state;
    put_old_file();
    assert_int_equal(replace(0, 0, false), 0);
    for (size_t i = 0; i < step_count; i++)
        assert_int_not_equal(steps[i].call, SYNC);
    assert_true(is_whole_new());
}

static void test_names_do_not_repeat(void **state)
{
    char names[64][ML_RANDOM_NAME];
    (void)state;
    for (size_t i = 0; i < 64; i++) {
        assert_int_equal(ml_random_name(names[i]), 0);
        assert_int_equal(strspn(names[i], "0123456789abcdef"), 16);
        for (size_t j = 0; j < i; j++)
            assert_string_not_equal(names[i], names[j]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_bytes_are_on_the_disk_before_the_name_leads_to_them),
        cmocka_unit_test(test_whatever_fails_the_old_file_stays_whole_until_it_is_replaced),
        cmocka_unit_test(test_nothing_is_done_after_a_failure_that_could_replace_the_file),
        cmocka_unit_test(test_a_directory_that_cannot_be_synced_is_no_failure),
        cmocka_unit_test(test_without_the_wish_nothing_is_synced),
        cmocka_unit_test(test_names_do_not_repeat),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
