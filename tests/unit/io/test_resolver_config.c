/*
 * What /etc/resolv.conf says (resolv.conf(5)), and the names that its search list makes of one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "io/resolver_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ml_resolver_config read_text(const char *text)
{
    struct ml_resolver_config config;
    assert_int_equal(ml_resolver_config_read(&config, text), 0);
    return config;
}

static void assert_server(const struct ml_resolver_config *config, size_t i, const char *host)
{
    char text[ML_HOST_SIZE];
    assert_true(i < config->servers.count);
    ml_address_host(&config->servers.items[i], text);
    assert_string_equal(text, host);
    assert_int_equal(ml_address_port(&config->servers.items[i]), 53);
}

static void servers_are_taken_in_their_order_with_scopes(void **state)
{
    (void)state;
    struct ml_resolver_config config = read_text("# nameserver 192.0.2.9\n"
                                                 "nameserver 192.0.2.1 # the first\n"
                                                 "; comment\n"
                                                 "nameserver\t2001:db8::1\r\n"
                                                 " nameserver 192.0.2.8\n"
                                                 "nameserver fe80::1%lo\n"
                                                 "nameserver fe80::2%nowhere\n"
                                                 "nameserver name.test\n"
                                                 "nameserver\n"
                                                 "nameservers 192.0.2.7\n"
                                                 "nameserver 192.0.2.2");
    assert_int_equal(config.servers.count, 4);
    assert_server(&config, 0, "192.0.2.1");
    assert_server(&config, 1, "2001:db8::1");
    assert_server(&config, 2, "fe80::1%lo");
    assert_server(&config, 3, "192.0.2.2");
    ml_resolver_config_release(&config);
}

static void without_a_server_it_is_this_machine(void **state)
{
    (void)state;
    const char *const texts[] = {NULL, "", "search a.test\n", "nameserver nonsense\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct ml_resolver_config config = read_text(texts[i]);
        assert_int_equal(config.servers.count, 1);
        assert_server(&config, 0, "127.0.0.1");
        assert_int_equal(config.dots, 1);
        assert_int_equal(config.timeout, 0);
        assert_int_equal(config.tries, 0);
        assert_false(config.rotates);
        ml_resolver_config_release(&config);
    }
}

static void options_are_bounded_and_the_last_one_counts(void **state)
{
    (void)state;
    struct ml_resolver_config config =
        read_text("options ndots:2 timeout:1 attempts:4 rotate unknown:3\noptions ndots:3");
    assert_int_equal(config.dots, 3);
    assert_int_equal(config.timeout, ML_SECOND);
    assert_int_equal(config.tries, 4);
    assert_true(config.rotates);
    ml_resolver_config_release(&config);
    config = read_text("options ndots:99999999999999999999 timeout:31 attempts:6");
    assert_int_equal(config.dots, 15);
    assert_int_equal(config.timeout, 30 * ML_SECOND);
    assert_int_equal(config.tries, 5);
    ml_resolver_config_release(&config);
    config = read_text("options ndots: ndots:-1 ndots:x timeout:0 attempts:0 rotated timeout:1x");
    assert_int_equal(config.dots, 1);
    assert_int_equal(config.timeout, 0);
    assert_int_equal(config.tries, 0);
    assert_false(config.rotates);
    ml_resolver_config_release(&config);
}

/* expected: a blank between the names. */
static void assert_names(const char *text, const char *name, const char *expected)
{
    char found[1024] = "";
    struct ml_names names;
    struct ml_resolver_config config = read_text(text);
    assert_int_equal(ml_names_from(&names, &config, name), 0);
    for (size_t i = 0; i < names.count; i++) {
        strcat(found, i > 0 ? " " : "");
        strcat(found, names.items[i]);
    }
    assert_string_equal(found, expected);
    ml_names_release(&names);
    ml_resolver_config_release(&config);
}

static void a_name_is_looked_for_in_each_domain(void **state)
{
    (void)state;
    assert_names("search a.test b.test\n", "db", "db.a.test db.b.test db");
    assert_names("search a.test b.test\n", "db.x", "db.x db.x.a.test db.x.b.test");
    assert_names("search a.test b.test\n", "db.", "db.");
    assert_names("search a.test b.test\n", "db.x.", "db.x.");
    assert_names("search a.test\noptions ndots:2\n", "db.x", "db.x.a.test db.x");
    assert_names("search a.test\noptions ndots:0\n", "db", "db db.a.test");
    assert_names("search a.test.\t b.test \r\n", "db", "db.a.test db.b.test db");
}

static void the_last_of_search_and_domain_counts(void **state)
{
    (void)state;
    assert_names("search a.test\ndomain b.test c.test\n", "db", "db.b.test db");
    assert_names("domain b.test\nsearch a.test c.test\n", "db", "db.a.test db.c.test db");
    assert_names("search a.test\nsearch\n", "db", "db");
}

static void the_root_is_a_domain_in_which_a_name_is_itself_once(void **state)
{
    (void)state;
    assert_names("search .\n", "db", "db");
    assert_names("search . a.test\n", "db", "db db.a.test");
    assert_names("search a.test . b.test .\n", "db", "db.a.test db db.b.test");
    assert_names("search a.test .\n", "db.x", "db.x db.x.a.test");
}

static void names_that_would_be_too_long_are_left_out(void **state)
{
    (void)state;
    enum { MOST = 253, SPACE_FOR_DOMAIN = sizeof ".a.test" - 1 };
    char name[MOST + 1], text[3 * MOST];
    memset(name, 'x', sizeof name);
    name[MOST - SPACE_FOR_DOMAIN + 1] = '\0';
    assert_names("search a.test\n", name, name);
    name[MOST - SPACE_FOR_DOMAIN] = '\0';
    snprintf(text, sizeof text, "%s.a.test %s", name, name);
    assert_names("search a.test\n", name, text);
}

static void the_environment_has_the_last_word(void **state)
{
    (void)state;
    setenv("LOCALDOMAIN", "c.test d.test", 1);
    setenv("RES_OPTIONS", "ndots:0", 1);
    assert_names("search a.test\n", "db", "db db.c.test db.d.test");
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(servers_are_taken_in_their_order_with_scopes),
        cmocka_unit_test(without_a_server_it_is_this_machine),
        cmocka_unit_test(options_are_bounded_and_the_last_one_counts),
        cmocka_unit_test(a_name_is_looked_for_in_each_domain),
        cmocka_unit_test(the_last_of_search_and_domain_counts),
        cmocka_unit_test(the_root_is_a_domain_in_which_a_name_is_itself_once),
        cmocka_unit_test(names_that_would_be_too_long_are_left_out),
        cmocka_unit_test(the_environment_has_the_last_word),
    };
    unsetenv("LOCALDOMAIN");
    unsetenv("RES_OPTIONS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
