/* system/file/quick.c: what is remembered of disks. */
#include "system/file/quick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct statx on(uint32_t major, uint32_t minor)
{
    return (struct statx){.stx_dev_major = major, .stx_dev_minor = minor};
}

static void test_a_disk_is_known_until_eight_others_are(void **state)
{
    (void)state;
    struct ml_disks disks = {0};
    struct statx first = on(0, 1);
    assert_false(ml_disks_know(&disks, &first));
    ml_disks_learn(&disks, &first, true);
    assert_true(ml_disks_is_local(&disks, &first));
    for (uint32_t minor = 2; minor < 10; minor++) {
        assert_true(ml_disks_know(&disks, &first));
        struct statx other = on(0, minor);
        ml_disks_learn(&disks, &other, false);
        assert_false(ml_disks_is_local(&disks, &other));
    }
    assert_false(ml_disks_know(&disks, &first));
}

static void test_only_a_known_disk_without_a_device_is_blind(void **state)
{
    (void)state;
    struct ml_disks disks = {0};
    struct statx memory = on(0, 1), other = on(0, 2), device = on(8, 1);
    ml_disks_learn_blind(&disks, &memory);
    assert_false(ml_disks_is_blind(&disks, &memory));
    ml_disks_learn(&disks, &memory, true);
    ml_disks_learn(&disks, &device, true);
    ml_disks_learn_blind(&disks, &memory);
    ml_disks_learn_blind(&disks, &other);
    ml_disks_learn_blind(&disks, &device);
    assert_true(ml_disks_is_blind(&disks, &memory));
    assert_false(ml_disks_is_blind(&disks, &other));
    assert_false(ml_disks_is_blind(&disks, &device));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_disk_is_known_until_eight_others_are),
        cmocka_unit_test(test_only_a_known_disk_without_a_device_is_blind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
