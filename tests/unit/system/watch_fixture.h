/*
 * What the tests of watches share: a directory with a watch, read by a task, and the picture that
 * the events make.
 */
#ifndef ML_TESTS_WATCH_FIXTURE_H
#define ML_TESTS_WATCH_FIXTURE_H

#include "hub_fixture.h"

#include "system/file/watch.h"

#include <errno.h>
#include <ftw.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* ---- pictures: paths, each with "d" or "f" before it ---- */

enum { MOST_PATHS = 4096 };

struct paths {
    char *text[MOST_PATHS];
    int count;
};

static inline void add_path(struct paths *p, char kind, const char *path)
{
    assert_true(p->count < MOST_PATHS);
    assert_true(asprintf(&p->text[p->count++], "%c%s", kind, path) > 0);
}

static inline void clear_paths(struct paths *p)
{
    while (p->count > 0)
        free(p->text[--p->count]);
}

static inline int index_of_path(const struct paths *p, const char *path)
{
    int i = 0;
    while (i < p->count && strcmp(p->text[i] + 1, path) != 0)
        i++;
    return i < p->count ? i : -1;
}

static inline bool is_below(const char *path, const char *directory)
{
    size_t size = strlen(directory);
    return strncmp(path, directory, size) == 0 && path[size] == '/';
}

static inline void remove_path(struct paths *p, const char *path)
{
    int i = index_of_path(p, path);
    if (i < 0)
        return;
    free(p->text[i]);
    p->text[i] = p->text[--p->count];
}

static inline void rename_paths(struct paths *p, const char *from, const char *to)
{
    assert_true(index_of_path(p, from) >= 0);
    remove_path(p, to);
    for (int i = 0; i < p->count; i++) {
        char *path = p->text[i];
        assert_false(is_below(path + 1, to));
        if (strcmp(path + 1, from) != 0 && !is_below(path + 1, from))
            continue;
        assert_true(asprintf(&p->text[i], "%c%s%s", path[0], to, path + 1 + strlen(from)) > 0);
        free(path);
    }
}

static inline void apply_event(struct paths *p, const struct ml_watch_event *event)
{
    char kind = event->is_directory ? 'd' : 'f';
    switch (event->kind) {
    case ML_WATCH_CREATED:
        assert_int_equal(index_of_path(p, event->path), -1);
        add_path(p, kind, event->path);
        break;
    case ML_WATCH_REMOVED:
        for (int i = 0; i < p->count; i++)
            assert_false(is_below(p->text[i] + 1, event->path));
        remove_path(p, event->path);
        break;
    case ML_WATCH_RENAMED:
        rename_paths(p, ml_watch_event_from(event), event->path);
        break;
    case ML_WATCH_CHANGED:
    case ML_WATCH_OVERFLOW:
        break;
    }
}

static struct paths *listed; /* by list_disk() */

static inline int add_listed(const char *path, const struct stat *status, int kind,
                             struct FTW *place)
{
    (void)status;
    if (place->level > 0)
        add_path(listed, kind == FTW_D || kind == FTW_DNR ? 'd' : 'f', path);
    return 0;
}

static inline void list_disk(struct paths *p, const char *root)
{
    listed = p;
    nftw(root, add_listed, 20, FTW_PHYS);
}

static inline bool is_same(const struct paths *a, const struct paths *b)
{
    bool same = a->count == b->count;
    for (int i = 0; i < a->count && same; i++) {
        int k = index_of_path(b, a->text[i] + 1);
        same = k >= 0 && b->text[k][0] == a->text[i][0];
    }
    return same;
}

/* ---- a directory, with "in", which is watched, and "out" ---- */

struct watched {
    char path[32];
    char root[64];
    struct ml_hub hub;
    struct ml_watch_source source;
    struct ml_file_watch w;
    struct paths picture;
    int overflows;
    int failures;     /* errors of ml_file_watch_next() that are not its deadline */
    unsigned fail_at; /* this allocation of a reading fails; 0: none */
    uint64_t seed;
};

static inline void shell(const char *format, const char *path)
{
    char command[512];
    snprintf(command, sizeof command, format, path, path, path, path);
    assert_int_equal(system(command), 0);
}

static inline void open_watched(struct watched *s)
{
    memset(s, 0, sizeof *s);
    strcpy(s->path, "/tmp/moonlet_watch_XXXXXX");
    assert_non_null(mkdtemp(s->path));
    snprintf(s->root, sizeof s->root, "%s/in", s->path);
    shell("mkdir %s/in %s/out", s->path);
    open_hub(&s->hub);
    ml_watch_source_init(&s->source, &s->hub);
}

static inline void close_watched(struct watched *s)
{
    ml_file_watch_close(&s->w);
    ml_watch_source_release(&s->source);
    close_hub(&s->hub);
    clear_paths(&s->picture);
    shell("chmod -R u+rwx %s; rm -rf %s", s->path);
}

static inline int open_watch(struct watched *s, bool initial)
{
    struct ml_file_watch_options options = {.recursive = true, .initial = initial};
    ml_file_watch_init(&s->w);
    return ml_file_watch_open(&s->w, &s->source, s->root, &options);
}

/* Reads an event, until `deadline` at most. 0 or an error. */
static inline int read_event(struct watched *s, ml_time deadline)
{
    const struct ml_watch_event *event = NULL;
    int error = ml_file_watch_next(&s->w, &event, deadline);
    if (error == 0) {
        s->overflows += event->kind == ML_WATCH_OVERFLOW;
        apply_event(&s->picture, event);
        assert_true(ml_file_watch_drop(&s->w, event->serial));
    } else if (error != -ETIMEDOUT) {
        s->failures++;
    }
    return error;
}

/* Reads until nothing has come for a while. */
static inline void read_all(struct watched *s)
{
    while (read_event(s, ml_clock_now() + 50 * ML_MILLISECOND) != -ETIMEDOUT)
        ;
}

/* Reads until the picture is that of the disk: a worker may list still. */
static inline void assert_agrees(struct watched *s)
{
    ml_time deadline = ml_clock_now() + 20 * ML_SECOND;
    struct paths disk = {0};
    do {
        clear_paths(&disk);
        read_all(s);
        list_disk(&disk, s->root);
    } while (!is_same(&disk, &s->picture) && ml_clock_now() < deadline);
    assert_true(is_same(&disk, &s->picture));
    clear_paths(&disk);
}

/* Starts random changes; tests/support/tree_storm.c. */
static inline pid_t start_storm(const struct watched *s, unsigned count, unsigned pause)
{
    char program[PATH_MAX], words[3][24];
    snprintf(program, sizeof program, "%s/tree_storm", getenv("MOONLET_TESTS"));
    snprintf(words[0], sizeof words[0], "%llu", (unsigned long long)s->seed);
    snprintf(words[1], sizeof words[1], "%u", count);
    snprintf(words[2], sizeof words[2], "%u", pause);
    char *arguments[] = {program, (char *)s->path, words[0], words[1], words[2], NULL};
    pid_t child = 0;
    assert_int_equal(posix_spawn(&child, program, NULL, NULL, arguments, environ), 0);
    return child;
}

static inline void storm(const struct watched *s, unsigned count)
{
    int status = 0;
    pid_t child = start_storm(s, count, 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* Runs `body` as a task, with a directory of its own. */
static inline void run_watched(void (*body)(struct c_task *), uint64_t seed, unsigned fail_at)
{
    struct watched *s = malloc(sizeof *s);
    assert_non_null(s);
    open_watched(s);
    s->seed = seed;
    s->fail_at = fail_at;
    struct c_task task;
    spawn(&s->hub, &task, body, s);
    assert_int_equal(run_all(&s->hub), 0);
    assert_int_equal(task.result, 0);
    close_watched(s);
    free(s);
}

#endif
