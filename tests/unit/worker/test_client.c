/* The worker's end of the control channel on a hub: requests and their replies, notices, a master
 * that ends. The test plays the master. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "hub/wait/wait.h"
#include "hub_fixture.h"
#include "worker/client.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

struct place {
    struct ml_hub hub;
    struct ml_control master;
    struct ml_control_message message;
    struct ml_worker_client *client;
    int results[4];
    char texts[4][32];
    unsigned noticed, orphaned;
};

static void say(struct place *p, struct ml_control_head head, const void *payload, size_t size)
{
    assert_int_equal(ml_control_send(&p->master, &head, payload, size, NULL, 0), 0);
}

static int open_place(void **state)
{
    struct place *p = calloc(1, sizeof *p);
    struct ml_control_place where = {
        .slot = 2, .count = 3, .generation = 4, .serial = 5, .beat = 10 * ML_MILLISECOND};
    int fds[2];
    open_hub(&p->hub);
    assert_int_equal(ml_control_pair(fds), 0);
    ml_control_open(&p->master, fds[0]);
    say(p, (struct ml_control_head){.type = ML_CONTROL_HELLO}, &where, sizeof where);
    assert_int_equal(ml_worker_client_open(&p->client, &p->hub, fds[1]), 0);
    *state = p;
    return 0;
}

static int close_place(void **state)
{
    struct place *p = *state;
    ml_worker_client_close(p->client);
    ml_control_close(&p->master);
    close_hub(&p->hub);
    free(p);
    return 0;
}

/* The next message that is no beat. */
static void await_message(struct place *p)
{
    int result;
    do {
        ml_sleep_until(&p->hub, ml_hub_now(&p->hub) + ML_MILLISECOND);
        result = ml_control_receive(&p->master, &p->message);
        assert_true(result == 1 || result == -EAGAIN);
    } while (result != 1 || p->message.head.type == ML_CONTROL_BEAT);
}

static void ask(struct c_task *self)
{
    struct place *p = self->data;
    struct ml_worker_reply *reply;
    int n = self->number;
    char text[16];
    int size = snprintf(text, sizeof text, "q%d", n);
    p->results[n] = ml_worker_request(p->client, ML_CONTROL_STORE, text, (size_t)size, &reply,
                                      ml_clock_now() + (n == 3 ? ML_MILLISECOND : 20 * ML_SECOND));
    if (p->results[n] == 0) {
        p->results[n] = reply->error;
        snprintf(p->texts[n], sizeof p->texts[n], "%s", ml_buffer_data(&reply->text));
    }
    ml_worker_reply_free(reply);
}

/* Answers two requests, the second one first, and that in two parts. */
static void answer_backwards(struct c_task *self)
{
    struct place *p = self->data;
    struct ml_control_head heads[2];
    for (int i = 0; i < 2; i++) {
        await_message(p);
        heads[i] = p->message.head;
        heads[i].is_reply = true;
    }
    heads[1].has_more = true;
    say(p, heads[1], "sec", 3);
    heads[1].has_more = false;
    say(p, heads[1], "ond", 3);
    heads[0].error = -EINVAL;
    say(p, heads[0], "first", 5);
}

static void test_each_task_gets_the_reply_to_its_own_request(void **state)
{
    struct place *p = *state;
    struct c_task tasks[3];
    assert_int_equal(p->client->place.slot, 2);
    for (int i = 0; i < 2; i++) {
        tasks[i].number = i;
        spawn(&p->hub, &tasks[i], ask, p);
    }
    spawn(&p->hub, &tasks[2], answer_backwards, p);
    assert_int_equal(run_all(&p->hub), 0);
    assert_int_equal(p->results[0], -EINVAL);
    assert_string_equal(p->texts[0], "first");
    assert_int_equal(p->results[1], 0);
    assert_string_equal(p->texts[1], "second");
}

static void answer_late(struct c_task *self)
{
    struct place *p = self->data;
    uint64_t number = 42;
    await_message(p);
    struct ml_control_head head = p->message.head;
    head.is_reply = true;
    head.type = ML_CONTROL_LISTEN;
    while (p->results[3] == 1)
        ml_sleep_until(&p->hub, ml_hub_now(&p->hub) + ML_MILLISECOND);
    say(p, head, &number, sizeof number);
    await_message(p); /* the socket is given back */
    assert_int_equal(p->message.head.type, ML_CONTROL_UNLISTEN);
    assert_memory_equal(p->message.payload, &number, sizeof number);
}

static void test_a_reply_that_comes_too_late_is_undone(void **state)
{
    struct place *p = *state;
    struct c_task tasks[2];
    p->results[3] = 1;
    tasks[0].number = 3;
    spawn(&p->hub, &tasks[0], ask, p);
    spawn(&p->hub, &tasks[1], answer_late, p);
    assert_int_equal(run_all(&p->hub), 0);
    assert_int_equal(p->results[3], -ETIMEDOUT);
}

static void note(struct ml_worker_client *client, struct ml_control_message *message, void *data)
{
    (void)client;
    assert_int_equal(message->head.type, ML_CONTROL_DRAIN);
    ((struct place *)data)->noticed++;
}

static void note_end(struct ml_worker_client *client)
{
    ((struct place *)client->owner)->orphaned++;
}

static void notice_and_end(struct c_task *self)
{
    struct place *p = self->data;
    await_message(p);
    say(p, (struct ml_control_head){.type = ML_CONTROL_DRAIN}, NULL, 0);
    say(p, (struct ml_control_head){.type = ML_CONTROL_JOINED}, NULL, 0); /* has no handler */
    say(p, (struct ml_control_head){.type = 200}, NULL, 0);               /* of a later version */
    while (p->noticed == 0)
        ml_sleep_until(&p->hub, ml_hub_now(&p->hub) + ML_MILLISECOND);
    ml_control_close(&p->master);
}

static void test_notices_go_to_their_handler_and_the_master_s_end_ends_all_requests(void **state)
{
    struct place *p = *state;
    struct c_task tasks[2];
    p->client->orphaned = note_end;
    p->client->owner = p;
    ml_worker_client_on(p->client, ML_CONTROL_DRAIN, note, p);
    tasks[0].number = 0;
    spawn(&p->hub, &tasks[0], ask, p);
    spawn(&p->hub, &tasks[1], notice_and_end, p);
    assert_int_equal(run_all(&p->hub), 0);
    assert_int_equal(p->results[0], -EPIPE);
    assert_int_equal(p->noticed, 1);
    assert_int_equal(p->orphaned, 1);
    assert_int_equal(ml_worker_tell(p->client, ML_CONTROL_READY, NULL, 0), -EPIPE);
}

static void await_beats(struct c_task *self)
{
    struct place *p = self->data;
    for (int beats = 0; beats < 3;) {
        ml_sleep_until(&p->hub, ml_hub_now(&p->hub) + ML_MILLISECOND);
        if (ml_control_receive(&p->master, &p->message) == 1)
            beats += p->message.head.type == ML_CONTROL_BEAT;
    }
}

static void test_a_hub_that_turns_sends_beats(void **state)
{
    struct place *p = *state;
    struct c_task task;
    spawn(&p->hub, &task, await_beats, p);
    assert_int_equal(run_all(&p->hub), 0);
}

static void test_a_channel_without_a_place_is_no_worker_s(void **state)
{
    struct place *p = *state;
    struct ml_worker_client *client;
    int fds[2];
    assert_int_equal(ml_control_pair(fds), 0);
    close(fds[0]);
    assert_int_equal(ml_worker_client_open(&client, &p->hub, fds[1]), -EPROTO);
    assert_null(client);
}

static void test_the_environment_names_a_channel_only_to_the_master_s_own_child(void **state)
{
    char text[64];
    int fds[2];
    (void)state;
    assert_int_equal(ml_control_pair(fds), 0);
    assert_int_equal(ml_worker_inherited(), -1);
    snprintf(text, sizeof text, "%d:%ld", fds[1], (long)getpid()); /* another parent's */
    setenv(ML_WORKER_VARIABLE, text, 1);
    assert_int_equal(ml_worker_inherited(), -1);
    assert_null(getenv(ML_WORKER_VARIABLE));
    static const char *const wrong[] = {"", "x", "3", "0:1", "-1:1", "999999:1", "3:1x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        setenv(ML_WORKER_VARIABLE, wrong[i], 1);
        assert_int_equal(ml_worker_inherited(), -1);
    }
    snprintf(text, sizeof text, "%d:%ld", fds[1], (long)getppid());
    setenv(ML_WORKER_VARIABLE, text, 1);
    assert_int_equal(ml_worker_inherited(), fds[1]);
    assert_null(getenv(ML_WORKER_VARIABLE));
    close(fds[0]);
    close(fds[1]);
}

#define ON_HUB(test) cmocka_unit_test_setup_teardown(test, open_place, close_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_HUB(test_each_task_gets_the_reply_to_its_own_request),
        ON_HUB(test_a_reply_that_comes_too_late_is_undone),
        ON_HUB(test_notices_go_to_their_handler_and_the_master_s_end_ends_all_requests),
        ON_HUB(test_a_hub_that_turns_sends_beats),
        ON_HUB(test_a_channel_without_a_place_is_no_worker_s),
        cmocka_unit_test(test_the_environment_names_a_channel_only_to_the_master_s_own_child),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
