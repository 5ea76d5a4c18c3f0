/* A shared store, and processes that are killed in the middle of its operations. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "child_process.h"
#include "worker/open_stores.h"
#include "worker/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>

enum { SMALL = 64 << 10, NOW = 1000 };

static struct ml_store open_store(size_t size, bool evicts)
{
    struct ml_store store;
    assert_int_equal(ml_arena_make(&store.arena, "test", size, evicts), 0);
    return store;
}

static void close_store(struct ml_store *store)
{
    ml_arena_close(&store->arena);
}

static struct ml_span text(const char *bytes)
{
    return (struct ml_span){bytes, strlen(bytes)};
}

static struct ml_store_value string_value(const char *bytes, size_t size)
{
    return (struct ml_store_value){.kind = ML_STORE_BYTES, .bytes = {{bytes, size}}};
}

static int set(struct ml_store *store, const char *key, const char *bytes, size_t size)
{
    struct ml_store_value value = string_value(bytes, size);
    struct ml_store_write write = {.way = ML_STORE_SET, .expires = ML_FOREVER};
    return ml_store_put(store, text(key), &value, &write, NOW);
}

static int incr(struct ml_store *store, const char *key, int64_t by, int64_t *sum)
{
    struct ml_store_value value = {.kind = ML_STORE_INTEGER, .word = (uint64_t)by}, result;
    int error;
    do
        error = ml_store_add_number(store, text(key), &value, ML_FOREVER, NOW, &result);
    while (error == -EBUSY);
    if (sum != NULL)
        *sum = (int64_t)result.word;
    return error;
}

/* Whether the key has that value; NULL: it is not there. */
static bool has(struct ml_store *store, const char *key, const char *bytes, size_t size)
{
    struct ml_store_copy copy = {0};
    int error;
    do
        error = ml_store_get(store, text(key), NOW, 0, &copy);
    while (error == -EBUSY);
    bool is_equal = bytes == NULL
                        ? error == -ENOENT
                        : error == 0 && copy.size == size && memcmp(copy.block, bytes, size) == 0;
    free(copy.block);
    return is_equal;
}

static struct ml_store_usage usage_of(struct ml_store *store)
{
    struct ml_store_usage usage;
    int error;
    do
        error = ml_store_measure(store, &usage);
    while (error == -EBUSY);
    assert_int_equal(error, 0);
    return usage;
}

/* ---- values ---- */

static void test_a_value_of_any_length_comes_back(void **state)
{
    (void)state;
    struct ml_store store = open_store(1 << 20, false);
    char *bytes = malloc(5000), key[300];
    for (int i = 0; i < 5000; i++)
        bytes[i] = (char)(i * 7 + i / 256);
    for (size_t size = 0; size < 260; size++) {
        memset(key, 'k', size);
        key[size] = '\0';
        assert_int_equal(set(&store, key, bytes, size), 0);
        assert_true(has(&store, key, bytes, size));
        assert_int_equal(set(&store, key, bytes + 1, 2 * size), 0);
    }
    for (size_t size = 0; size < 260; size++) {
        key[size] = '\0';
        memset(key, 'k', size);
        assert_true(has(&store, key, bytes + 1, 2 * size));
    }
    assert_int_equal(usage_of(&store).entries, 260);
    free(bytes);
    close_store(&store);
}

static void test_what_is_deleted_gives_all_its_room_back(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    char bytes[1000] = {0}, key[32];
    for (int round = 0; round < 20; round++) {
        int count = 0;
        for (; snprintf(key, sizeof key, "%d", count) && set(&store, key, bytes, 1000) == 0;)
            count++;
        assert_int_equal(set(&store, "more", bytes, 1000), -ENOSPC);
        assert_true(count > 40);
        while (count-- > 0 && snprintf(key, sizeof key, "%d", count))
            assert_int_equal(ml_store_delete(&store, text(key), 0, NOW), 0);
        assert_int_equal(usage_of(&store).used, 0);
    }
    close_store(&store);
}

static void test_a_value_larger_than_the_store_is_refused_and_evicts_nothing(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, true);
    char *bytes = calloc(1, SMALL);
    assert_int_equal(set(&store, "small", "x", 1), 0);
    assert_int_equal(set(&store, "large", bytes, SMALL), -ENOSPC);
    assert_true(has(&store, "small", "x", 1));
    free(bytes);
    close_store(&store);
}

static void test_evicting_keeps_what_is_used(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, true);
    char bytes[500] = {0}, key[32];
    assert_int_equal(set(&store, "used", "x", 1), 0);
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "%d", i);
        assert_int_equal(set(&store, key, bytes, sizeof bytes), 0);
        assert_true(has(&store, "used", "x", 1));
    }
    assert_true(has(&store, key, bytes, sizeof bytes));
    close_store(&store);
}

static void test_a_value_replaces_itself_where_both_have_no_room(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, true);
    char *bytes = calloc(1, SMALL);
    for (int i = 0; i < 10; i++) {
        bytes[0] = (char)i;
        assert_int_equal(set(&store, "large", bytes, 40000), 0);
        assert_true(has(&store, "large", bytes, 40000));
    }
    free(bytes);
    close_store(&store);
}

static void test_expired_keys_make_room(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    char bytes[1000] = {0}, key[32];
    struct ml_store_value value = string_value(bytes, sizeof bytes);
    struct ml_store_write write = {.way = ML_STORE_SET, .expires = NOW + 1};
    int count = 0, again = 0;
    while (snprintf(key, sizeof key, "%d", count) &&
           ml_store_put(&store, text(key), &value, &write, NOW) == 0)
        count++;
    write.expires = NOW + 2;
    while (snprintf(key, sizeof key, "b%d", again) &&
           ml_store_put(&store, text(key), &value, &write, NOW + 1) == 0)
        again++;
    assert_int_equal(again, count);
    close_store(&store);
}

static void test_numbers_are_added_up(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    int64_t sum;
    assert_int_equal(incr(&store, "n", INT64_MAX - 1, &sum), 0);
    assert_int_equal(incr(&store, "n", 1, &sum), 0);
    assert_true(sum == INT64_MAX);
    assert_int_equal(incr(&store, "n", 1, NULL), -ERANGE);
    assert_int_equal(incr(&store, "n", 0, &sum), 0);
    assert_true(sum == INT64_MAX);
    assert_int_equal(set(&store, "s", "1", 1), 0);
    assert_int_equal(incr(&store, "s", 1, NULL), -EINVAL);
    close_store(&store);
}

static void test_keys_that_stay_are_collected_once(void **state)
{
    (void)state;
    struct ml_store store = open_store(8 << 20, false);
    enum { COUNT = 3000 };
    char key[32], seen[COUNT] = {0};
    for (int i = 0; i < COUNT && snprintf(key, sizeof key, "stay%d", i); i++)
        assert_int_equal(set(&store, key, "", 0), 0);
    uint64_t position = 0;
    for (int more = 1, round = 0; more > 0; round++) {
        struct ml_store_keys keys = {0};
        more = ml_store_collect(&store, text("stay"), NOW, &position, &keys);
        for (size_t at = 0; at < keys.size;) {
            uint32_t size;
            memcpy(&size, keys.bytes + at, sizeof size);
            memcpy(key, keys.bytes + at + sizeof size, size);
            key[size] = '\0';
            assert_int_equal(seen[atoi(key + 4)]++, 0);
            at += sizeof size + size;
        }
        free(keys.bytes);
        for (int i = 0; i < 20 && snprintf(key, sizeof key, "stay%d", COUNT + round * 20 + i); i++)
            ml_store_delete(&store, text(key), 0, NOW);
        snprintf(key, sizeof key, "new%d", round);
        assert_int_equal(set(&store, key, "", 0), 0);
    }
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(seen[i], 1);
    close_store(&store);
}

/* ---- memory of another kind ---- */

static void test_memory_of_another_version_is_refused(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    struct ml_arena other;
    store.arena.head->version = ML_ARENA_VERSION + 1;
    assert_int_equal(ml_arena_attach(&other, dup(store.arena.fd), false), -EPROTO);
    store.arena.head->version = ML_ARENA_VERSION;
    assert_int_equal(ml_arena_attach(&other, dup(store.arena.fd), false), 0);
    ml_arena_close(&other);
    store.arena.head->cell_count++;
    assert_int_equal(ml_arena_attach(&other, dup(store.arena.fd), false), -EPROTO);
    close_store(&store);
}

static void test_foreign_memory_is_refused(void **state)
{
    (void)state;
    struct ml_arena arena;
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(ftruncate(fd, 1000), 0);
    assert_int_equal(ml_arena_attach(&arena, dup(fd), false), -EPROTO);
    assert_int_equal(ftruncate(fd, SMALL), 0);
    assert_int_equal(pwrite(fd, "other", 5, 8), 5);
    assert_int_equal(ml_arena_attach(&arena, fd, false), -EPROTO);
    assert_int_equal(ml_arena_make(&arena, "test", SMALL - 1, false), -EINVAL);
    assert_int_equal(ml_arena_make(&arena, "test", SIZE_MAX, false), -EINVAL);
}

static void test_raw_memory_is_made_an_arena_once(void **state)
{
    (void)state;
    int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    struct ml_store one, two;
    assert_int_equal(ftruncate(fd, SMALL), 0);
    assert_int_equal(ml_arena_attach(&one.arena, dup(fd), true), 0);
    assert_int_equal(set(&one, "key", "value", 5), 0);
    assert_int_equal(ml_arena_attach(&two.arena, fd, false), 0);
    assert_true(has(&two, "key", "value", 5));
    assert_true(two.arena.head->evicts);
    assert_int_equal(ftruncate(fd, 0), -1); /* nobody can cut it off */
    close_store(&one);
    close_store(&two);
}

static void test_stores_of_a_process_are_found_by_name(void **state)
{
    (void)state;
    struct ml_store_wish wish = {.size = SMALL}, other = {.size = 2 * SMALL}, any = {0};
    struct ml_store_wish evicting = {.evict = ML_EVICT_OLDEST};
    struct ml_store *one, *two;
    assert_int_equal(ml_open_stores_get("one", &wish, NULL, NULL, &one), 0);
    assert_int_equal(ml_open_stores_get("one", &any, NULL, NULL, &two), 0);
    assert_ptr_equal(one, two);
    assert_int_equal(ml_open_stores_get("one", &other, NULL, NULL, &two), -EEXIST);
    assert_int_equal(ml_open_stores_get("one", &evicting, NULL, NULL, &two), -EEXIST);
    assert_int_equal(ml_open_stores_get("two", &other, NULL, NULL, &two), 0);
    assert_ptr_not_equal(one, two);
}

/* ---- owners that die ---- */

/* What a child does in the store of the parent, and what may be found in it afterwards. */
struct scene {
    const char *name;
    void (*act)(struct ml_store *store);
    bool (*is_whole)(struct ml_store *store);
};

static const char old_value[] = "the old value, which is longer than what lies in the first cell";
static const char new_value[] = "a new one, of another length: it takes three cells altogether, as "
                                "it has more than one hundred and thirty bytes, counted with care";

static void prepare(struct ml_store *store)
{
    char key[32];
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "other%d", i);
        assert_int_equal(set(store, key, old_value, sizeof old_value), 0);
    }
    assert_int_equal(set(store, "key", old_value, sizeof old_value), 0);
    assert_int_equal(incr(store, "count", 1, NULL), 0);
}

static void act_set(struct ml_store *store)
{
    set(store, "key", new_value, sizeof new_value);
}

static void act_add(struct ml_store *store)
{
    set(store, "another", new_value, sizeof new_value);
}

static void act_delete(struct ml_store *store)
{
    ml_store_delete(store, text("key"), 0, NOW);
}

static void act_incr(struct ml_store *store)
{
    incr(store, "count", 1, NULL);
}

/* A number takes the place of another kind of number. */
static void act_change_kind(struct ml_store *store)
{
    double half = 0.5;
    struct ml_store_value by = {.kind = ML_STORE_NUMBER}, sum;
    memcpy(&by.word, &half, sizeof half);
    ml_store_add_number(store, text("count"), &by, ML_FOREVER, NOW, &sum);
}

static bool key_is_old_or_new(struct ml_store *store)
{
    return has(store, "key", old_value, sizeof old_value) ||
           has(store, "key", new_value, sizeof new_value);
}

static bool another_is_new_or_absent(struct ml_store *store)
{
    return has(store, "another", NULL, 0) || has(store, "another", new_value, sizeof new_value);
}

static bool key_is_old_or_absent(struct ml_store *store)
{
    return has(store, "key", NULL, 0) || has(store, "key", old_value, sizeof old_value);
}

static bool count_is_whole(struct ml_store *store)
{
    struct ml_store_copy copy;
    int error;
    do
        error = ml_store_get(store, text("count"), NOW, 0, &copy);
    while (error == -EBUSY);
    double number;
    memcpy(&number, &copy.word, sizeof number);
    return error == 0 &&
           (copy.kind == ML_STORE_INTEGER ? copy.word == 1 || copy.word == 2 : number == 1.5);
}

static const struct scene scenes[] = {
    {"set", act_set, key_is_old_or_new},
    {"add", act_add, another_is_new_or_absent},
    {"delete", act_delete, key_is_old_or_absent},
    {"incr", act_incr, count_is_whole},
    {"change of kind", act_change_kind, count_is_whole},
};

/* All else is as it was, no cell is lost, and the store goes on. */
static void check_rest(struct ml_store *store)
{
    char key[32], *bytes = calloc(1, SMALL);
    for (int i = 0; i < 50; i++) {
        snprintf(key, sizeof key, "other%d", i);
        assert_true(has(store, key, old_value, sizeof old_value));
        assert_int_equal(ml_store_delete(store, text(key), 0, NOW), 0);
    }
    ml_store_delete(store, text("key"), 0, NOW);
    ml_store_delete(store, text("another"), 0, NOW);
    ml_store_delete(store, text("count"), 0, NOW);
    struct ml_store_usage usage = usage_of(store);
    assert_int_equal(usage.entries, 0);
    assert_int_equal(usage.used, 0);
    assert_int_equal(set(store, "large", bytes, 40000), 0);
    assert_int_equal(ml_store_delete(store, text("large"), 0, NOW), 0);
    free(bytes);
}

/* A child that acts once it goes on after SIGSTOP, and stops again at the end. */
static pid_t start_traced(struct ml_store *store, const struct scene *scene)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child > 0)
        return child;
    if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
        _exit(1);
    raise(SIGSTOP);
    scene->act(store);
    raise(SIGSTOP);
    _exit(0);
}

/* Lets the child make `steps` instructions, then kills it. *has_ended: it was done before. False:
 * no process may be traced here. */
static bool kill_after(struct ml_store *store, const struct scene *scene, long steps,
                       bool *has_ended)
{
    int status, stops = 0;
    pid_t child = start_traced(store, scene);
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSTOPPED(status))
        return false;
    while (steps-- > 0 && stops == 0) {
        assert_int_equal(ptrace(PTRACE_SINGLESTEP, child, NULL, NULL), 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFSTOPPED(status));
        stops += WSTOPSIG(status) == SIGSTOP;
    }
    *has_ended = stops > 0;
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    return true;
}

/* Every stride-th instruction of the operation, with another offset for each build. */
static void kill_at_instructions(const struct scene *scene, long stride)
{
    bool has_ended = false;
    for (long steps = 0; !has_ended; steps += stride) {
        struct ml_store store = open_store(SMALL, false);
        prepare(&store);
        if (!kill_after(&store, scene, steps, &has_ended))
            skip();
        if (!scene->is_whole(&store))
            fail_msg("%s is torn after %ld instructions", scene->name, steps);
        check_rest(&store);
        close_store(&store);
    }
}

static void test_a_writer_killed_at_any_instruction_harms_nobody(void **state)
{
    (void)state;
    long stride = 23;
#if defined(__SANITIZE_ADDRESS__)
    stride = 97;
#endif
    for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++)
        kill_at_instructions(&scenes[i], stride);
}

/* The mending itself is an operation in which a process can be killed. */
static void act_mend(struct ml_store *store)
{
    struct ml_locked l;
    if (ml_shard_lock(&l, &store->arena, 0, NOW) != 0)
        _exit(2);
    ml_shard_mend(&l);
    l.shard->free_count = 7; /* as if it was killed in the middle of something else */
    raise(SIGKILL);
}

static int run_mend(void *store)
{
    act_mend(store);
    return 0;
}

static void test_a_process_killed_while_it_mends_harms_nobody(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    prepare(&store);
    for (int i = 0; i < 5; i++)
        assert_true(died_by(run_in_child(run_mend, &store), SIGKILL));
    assert_true(key_is_old_or_new(&store));
    check_rest(&store);
    close_store(&store);
}

/* Chains that lead astray, into one another, or in a circle. */
static void test_mending_cuts_damaged_chains_off(void **state)
{
    (void)state;
    for (uint32_t wrong = 0; wrong < 40; wrong++) {
        struct ml_store store = open_store(SMALL, false);
        struct ml_locked l;
        prepare(&store);
        assert_int_equal(ml_shard_lock(&l, &store.arena, 0, NOW), 0);
        for (uint32_t cell = 1; cell < 30; cell++)
            l.cells[cell].cell.next = wrong * (cell % 3 == 0 ? 100000007u : 1);
        ml_shard_mend(&l);
        ml_shard_unlock(&l);
        struct ml_store_usage usage = usage_of(&store);
        assert_true(usage.used >= usage.entries * ML_CELL_SIZE && usage.used <= usage.size);
        assert_int_equal(set(&store, "new", new_value, sizeof new_value), 0);
        assert_true(has(&store, "new", new_value, sizeof new_value));
        close_store(&store);
    }
}

/* ---- under load ---- */

/* Writes values that tell whether they are whole: a length, and that many of one letter. */
static void churn(struct ml_store *store, unsigned seed)
{
    char key[32], bytes[700];
    for (unsigned i = seed;; i = i * 1103515245u + 12345u) {
        size_t size = (i >> 8) % sizeof bytes;
        snprintf(key, sizeof key, "%u", (i >> 16) % 30);
        memset(bytes, 'a' + (int)(size % 26), size);
        if ((i >> 4) % 8 == 0)
            ml_store_delete(store, text(key), 0, NOW);
        else
            set(store, key, bytes, size);
        incr(store, "count", 1, NULL);
    }
}

static pid_t start_churn(struct ml_store *store, unsigned seed)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        churn(store, seed);
    return child;
}

static bool is_whole_value(const char *bytes, size_t size)
{
    bool is_whole = true;
    for (size_t i = 0; is_whole && i < size; i++)
        is_whole = bytes[i] == 'a' + (int)(size % 26);
    return is_whole;
}

static void check_values(struct ml_store *store)
{
    char key[32];
    for (int i = 0; i < 30 && snprintf(key, sizeof key, "%d", i); i++) {
        struct ml_store_copy copy;
        int error;
        do
            error = ml_store_get(store, text(key), NOW, 0, &copy);
        while (error == -EBUSY);
        if (error != 0)
            continue;
        assert_true(is_whole_value(copy.block, copy.size));
        free(copy.block);
    }
}

/* Kills `kills` writers in turn, of `count` that run at a time. The children run on the test's
 * processor now and then: sched_yield() gives it to them. */
static void kill_at_random(struct ml_store *store, int kills, int count)
{
    pid_t children[2];
    int64_t before = 0, after = 0;
    for (int i = 0; i < kills + count; i++) {
        int which = i % count;
        if (i >= count) {
            for (int k = 0; k < i % 7; k++)
                sched_yield();
            kill(children[which], SIGKILL);
            assert_int_equal(waitpid(children[which], NULL, 0), children[which]);
        }
        check_values(store);
        assert_int_equal(incr(store, "count", 1, &after), 0);
        assert_true(after > before);
        before = after;
        if (i < kills)
            children[which] = start_churn(store, (unsigned)i + 1);
    }
}

static void check_nothing_is_lost(struct ml_store *store)
{
    char key[32];
    for (int i = 0; i < 30 && snprintf(key, sizeof key, "%d", i); i++)
        ml_store_delete(store, text(key), 0, NOW);
    ml_store_delete(store, text("count"), 0, NOW);
    assert_int_equal(usage_of(store).used, 0);
}

static void test_writers_killed_at_random_harm_nobody(void **state)
{
    (void)state;
    for (int count = 1; count <= 2; count++) {
        struct ml_store store = open_store(SMALL, false);
        kill_at_random(&store, count == 1 ? 2000 : 100, count);
        check_nothing_is_lost(&store);
        close_store(&store);
    }
}

/* A counter that many processes add to loses nothing. */
static int count_up(void *store)
{
    for (int i = 0; i < 20000; i++)
        if (incr(store, "count", 1, NULL) != 0)
            return 1;
    return 0;
}

static void test_no_addition_is_lost(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    pid_t children[4];
    int64_t sum;
    for (int i = 0; i < 4; i++) {
        children[i] = fork();
        if (children[i] == 0)
            _exit(count_up(&store));
    }
    for (int i = 0; i < 4; i++) {
        int status;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_true(exited_with(status, 0));
    }
    assert_int_equal(incr(&store, "count", 0, &sum), 0);
    assert_int_equal(sum, 80000);
    close_store(&store);
}

/* A process that is stopped in the middle keeps nobody for longer than the spinning. */
static void test_a_stopped_owner_makes_a_call_return_busy(void **state)
{
    (void)state;
    struct ml_store store = open_store(SMALL, false);
    prepare(&store);
    int status;
    pid_t child = fork();
    if (child == 0) {
        struct ml_locked l;
        ml_shard_lock(&l, &store.arena, 0, NOW);
        raise(SIGSTOP);
        for (;;)
            pause();
    }
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    struct ml_store_copy copy;
    assert_int_equal(ml_store_get(&store, text("key"), NOW, 0, &copy), -EBUSY);
    assert_int_equal(set(&store, "key", "x", 1), -EBUSY);
    assert_int_equal(ml_store_delete(&store, text("key"), 0, NOW), -EBUSY);
    kill(child, SIGKILL);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(has(&store, "key", old_value, sizeof old_value));
    close_store(&store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_value_of_any_length_comes_back),
        cmocka_unit_test(test_what_is_deleted_gives_all_its_room_back),
        cmocka_unit_test(test_a_value_larger_than_the_store_is_refused_and_evicts_nothing),
        cmocka_unit_test(test_evicting_keeps_what_is_used),
        cmocka_unit_test(test_a_value_replaces_itself_where_both_have_no_room),
        cmocka_unit_test(test_expired_keys_make_room),
        cmocka_unit_test(test_numbers_are_added_up),
        cmocka_unit_test(test_keys_that_stay_are_collected_once),
        cmocka_unit_test(test_memory_of_another_version_is_refused),
        cmocka_unit_test(test_foreign_memory_is_refused),
        cmocka_unit_test(test_raw_memory_is_made_an_arena_once),
        cmocka_unit_test(test_stores_of_a_process_are_found_by_name),
        cmocka_unit_test(test_a_writer_killed_at_any_instruction_harms_nobody),
        cmocka_unit_test(test_a_process_killed_while_it_mends_harms_nobody),
        cmocka_unit_test(test_mending_cuts_damaged_chains_off),
        cmocka_unit_test(test_writers_killed_at_random_harm_nobody),
        cmocka_unit_test(test_no_addition_is_lost),
        cmocka_unit_test(test_a_stopped_owner_makes_a_call_return_busy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
