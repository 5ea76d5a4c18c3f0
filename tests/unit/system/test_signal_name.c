/* Names of signals: system/signal/signal_name.h. */
#include "system/signal/signal_name.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static int number_of(const char *name)
{
    return ml_signal_number(name, strlen(name));
}

static void a_name_is_known_with_and_without_sig(void **state)
{
    (void)state;
    assert_int_equal(number_of("TERM"), SIGTERM);
    assert_int_equal(number_of("SIGTERM"), SIGTERM);
    assert_int_equal(number_of("IOT"), SIGABRT);
    assert_int_equal(number_of("CLD"), SIGCHLD);
    assert_int_equal(number_of("POLL"), SIGIO);
}

static void a_name_of_no_signal_has_no_number(void **state)
{
    static const char *const names[] = {
        "",         "SIG",      "TER",      "TERMS",    "term",      "SIGSIGTERM", "15",
        "EXIT",     "RT",       "RTMIN+",   "RTMIN-1",  "RTMAX+1",   "RTMIN+31",   "RTMAX-31",
        "RTMIN+ 3", "RTMIN+-1", "RTMIN+03", "RTMIN+3x", "RTMIN+100", "RTMINN"};
    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        assert_int_equal(number_of(names[i]), 0);
    assert_int_equal(ml_signal_number("TERM\0", 5), 0);
}

static void real_time_signals_count_from_either_end(void **state)
{
    (void)state;
    assert_int_equal(number_of("RTMIN"), SIGRTMIN);
    assert_int_equal(number_of("SIGRTMIN+3"), SIGRTMIN + 3);
    assert_int_equal(number_of("RTMIN+0"), SIGRTMIN);
    assert_int_equal(number_of("RTMIN+30"), SIGRTMAX);
    assert_int_equal(number_of("RTMAX"), SIGRTMAX);
    assert_int_equal(number_of("RTMAX-30"), SIGRTMIN);
}

static void every_signal_has_a_name_that_leads_back_to_it(void **state)
{
    (void)state;
    char name[ML_SIGNAL_NAME_ROOM];
    for (int number = 1; number <= SIGRTMAX; number++)
        if (number < 32 || number >= SIGRTMIN)
            assert_int_equal(number_of(ml_signal_name(number, name)), number);
    assert_string_equal(ml_signal_name(SIGABRT, name), "ABRT");
    assert_string_equal(ml_signal_name(SIGRTMIN + 3, name), "RTMIN+3");
    assert_string_equal(ml_signal_name(SIGRTMAX + 1, name), "65");
}

static void signals_that_no_script_can_listen_to_say_why(void **state)
{
    (void)state;
    static const int refused[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGBUS,
                                  SIGFPE,  SIGILL,  SIGPROF, SIGURG};
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        assert_non_null(ml_signal_refusal(refused[i]));
    assert_null(ml_signal_refusal(SIGTERM));
    assert_null(ml_signal_refusal(SIGCHLD));
    assert_null(ml_signal_refusal(SIGRTMIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_known_with_and_without_sig),
        cmocka_unit_test(a_name_of_no_signal_has_no_number),
        cmocka_unit_test(real_time_signals_count_from_either_end),
        cmocka_unit_test(every_signal_has_a_name_that_leads_back_to_it),
        cmocka_unit_test(signals_that_no_script_can_listen_to_say_why),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
