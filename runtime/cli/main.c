/*
 * The program `moonlet`: does what lua5.4 does with the same command line, in tasks. A user of the
 * public header like any other.
 */
#include "moonlet.h"
#include "options.h"
#include "profile.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The runtime that Ctrl-C, SIGTERM and SIGHUP interrupt: a signal handler has no other way to find
 * it. */
static _Thread_local struct moonlet *current;

/* Signals that have come. */
static volatile sig_atomic_t has_come[NSIG];

/* SIGQUIT asks for a dump of all tasks. The program goes on, as Java's does. */
static bool ask_for_dump(int number)
{
    return number == SIGQUIT && current != NULL && moonlet_inspect_dump(current);
}

/* Keys are for the command while the program does nothing but os.execute, as in lua5.4. A second
 * signal ends the process at once; at a prompt, a second one for the same entry does. A signal that
 * the script listens to is the script's. */
// NOLINTBEGIN(bugprone-signal-handler): the header says of each function here that handlers may
// call it
static void on_signal(int number)
{
    if (moonlet_is_signal_open(number))
        return;
    bool is_key = number == SIGINT || number == SIGQUIT;
    if (is_key && current != NULL && moonlet_is_in_shell(current))
        return;
    if (ask_for_dump(number))
        return;
    bool is_for_entry = current != NULL && number == SIGINT && moonlet_is_interactive(current);
    bool is_second = !is_for_entry && has_come[number];
    bool is_end = number != SIGQUIT && !is_second;
    has_come[number] = !is_for_entry;
    if (is_end && current != NULL && moonlet_interrupt(current, number))
        return;
    signal(number, SIG_DFL);
    raise(number);
}
// NOLINTEND(bugprone-signal-handler)

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
enum { SIGNALS = sizeof signals / sizeof *signals };

/* A signal that was ignored when the program began (nohup, a shell's "&") stays ignored. A worker
 * ends by its master's word: SIGHUP is for that one. */
static void watch_signals(bool is_worker)
{
    for (int i = 0; i < SIGNALS; i++)
        if (!(is_worker && signals[i] == SIGHUP) && signal(signals[i], SIG_IGN) != SIG_IGN)
            signal(signals[i], on_signal);
}

static void leave_signals(void)
{
    struct sigaction now;
    for (int i = 0; i < SIGNALS; i++)
        if (sigaction(signals[i], NULL, &now) == 0 && now.sa_handler == on_signal)
            signal(signals[i], SIG_DFL);
}

/* "-" is standard input; after "--" it is a file of that name. */
static int load_script(struct moonlet *m, char **argv, int script)
{
    const char *name = argv[script];
    if (strcmp(name, "-") == 0 && strcmp(argv[script - 1], "--") != 0)
        name = NULL;
    return moonlet_load_script(m, name);
}

static int load_init(struct moonlet *m)
{
    const char *name = "=LUA_INIT_5_4";
    const char *init = getenv(name + 1);
    if (init == NULL)
        init = getenv((name = "=LUA_INIT") + 1);
    if (init == NULL)
        return 0;
    return init[0] == '@' ? moonlet_load_file(m, init + 1) : moonlet_load_string(m, init, name);
}

static int load_options(struct moonlet *m, char **argv, const struct cli_options *options)
{
    int error = 0;
    for (int i = options->first; i < options->script && error == 0; i++) {
        if (argv[i][1] == 'e')
            error = moonlet_load_string(m, cli_option_argument(argv, &i), "=(command line)");
        else if (argv[i][1] == 'l')
            error = moonlet_load_library(m, cli_option_argument(argv, &i));
        else if (argv[i][1] == 'W')
            error = moonlet_load_string(m, "warn '@on'", "=(option -W)");
    }
    return error;
}

static void print_version(void)
{
    puts(moonlet_version());
    puts(moonlet_lua_version());
    fflush(stdout);
}

/* The address as a string of Lua's, each byte as a number: it may contain anything. */
static void quote(char text[4 * CLI_LONGEST_ADDRESS + 3], const char *address)
{
    char *end = text;
    *end++ = '"';
    for (; *address != '\0'; address++)
        end += sprintf(end, "\\%03u", (unsigned)(unsigned char)*address);
    *end++ = '"';
    *end = '\0';
}

/* The first piece of the program has the inspector listen. */
static int load_inspector(struct moonlet *m, const struct cli_options *options)
{
    static const char source[] =
        "require 'moonlet.inspect.start'.run(%s, {write = %s, remote = %s})";
    char address[4 * CLI_LONGEST_ADDRESS + 3];
    char text[sizeof source + sizeof address + 2 * sizeof "false"];
    if (options->inspect == NULL)
        return 0;
    quote(address, options->inspect);
    snprintf(text, sizeof text, source, address, options->inspect_write ? "true" : "false",
             options->inspect_remote ? "true" : "false");
    return moonlet_load_string(m, text, "=--inspect");
}

static int load_attach(struct moonlet *m, const struct cli_options *options)
{
    static const char source[] = "require 'moonlet.inspector.attach'.run(%s, %s)";
    char address[4 * CLI_LONGEST_ADDRESS + 3];
    char text[sizeof source + sizeof address + sizeof "false"];
    quote(address, options->attach);
    snprintf(text, sizeof text, source, address, options->attach_web ? "true" : "false");
    return moonlet_load_string(m, text, "=--attach");
}

static int load_workers_status(struct moonlet *m, const struct cli_options *options)
{
    char text[96];
    snprintf(text, sizeof text, "require 'moonlet.worker.show'.run('%s')", options->workers_status);
    return moonlet_load_string(m, text, "=--workers-status");
}

/* The program connects to the debug adapter that started it, before its own first piece. */
static int load_debuggee(struct moonlet *m, const struct cli_options *options)
{
    static const char source[] = "require 'moonlet.inspector.debuggee'.run(%s)";
    char path[4 * CLI_LONGEST_ADDRESS + 3];
    char text[sizeof source + sizeof path];
    if (options->debug == NULL || options->debug[0] == '\0')
        return 0;
    quote(path, options->debug);
    snprintf(text, sizeof text, source, path);
    return moonlet_load_string(m, text, "=--debug");
}

static int load_adapter(struct moonlet *m, bool has_script, const struct cli_options *options)
{
    static const char source[] = "require 'moonlet.inspector.adapter'.run(%s, %s)";
    char target[4 * CLI_LONGEST_ADDRESS + 3] = "nil";
    char text[sizeof source + sizeof target + sizeof "false"];
    if (options->attach != NULL)
        quote(target, options->attach);
    snprintf(text, sizeof text, source, has_script ? "true" : "false", target);
    return moonlet_load_string(m, text, "=--debug");
}

static int load_interaction(struct moonlet *m)
{
    return moonlet_load_string(m, "require 'moonlet.repl'.run()", "=stdin");
}

static int load_specs(struct moonlet *m)
{
    return moonlet_load_string(m, "require 'moonlet.test.specs'.run()", "=--test");
}

/* Loads what comes after the options: the script, or standard input. */
static int load_rest(struct moonlet *m, int argc, char **argv, const struct cli_options *options)
{
    int error = 0;
    if (options->runs_specs)
        return load_specs(m);
    if (options->shows_durable)
        return moonlet_load_string(m, "require 'moonlet.durable.program'.run()", "=--durable");
    bool has_script = options->script < argc;
    if (options->debug != NULL && options->debug[0] == '\0')
        return load_adapter(m, has_script, options);
    if (options->attach != NULL)
        return load_attach(m, options);
    if (options->workers_status != NULL)
        return load_workers_status(m, options);
    bool is_bare = !has_script && !options->has_statement && !options->show_version;
    if (has_script)
        error = load_script(m, argv, options->script);
    if (error != 0)
        return error;
    if (options->interactive)
        return load_interaction(m);
    if (is_bare && isatty(STDIN_FILENO)) {
        print_version();
        return load_interaction(m);
    }
    return is_bare ? moonlet_load_file(m, NULL) : 0;
}

static int load_all(struct moonlet *m, int argc, char **argv, const struct cli_options *options)
{
    int error = moonlet_set_arguments(m, argc, argv, options->script < argc ? options->script : 0);
    if (error == 0)
        error = load_inspector(m, options);
    if (error == 0)
        error = load_debuggee(m, options);
    if (error == 0 && !options->ignore_environment)
        error = load_init(m);
    if (error == 0)
        error = load_options(m, argv, options);
    if (error == 0)
        error = load_rest(m, argc, argv, options);
    return error;
}

/* Takes descriptors 0, 1 and 2 if the process was started without them, so that the runtime's own
 * do not serve as a standard stream. Returns those to close, as bits. */
static unsigned fill_standard_files(void)
{
    unsigned filled = 0;
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_CLOEXEC) == fd)
            filled |= 1U << fd;
    return filled;
}

static void free_standard_files(unsigned filled)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if ((filled & 1U << fd) != 0)
            close(fd);
}

/* Specs compute for long on purpose. */
static double slow_of(const struct cli_options *options)
{
    const double usual = 0.1;
    return options->slow >= 0 ? options->slow : options->runs_specs ? 0 : usual;
}

static int run(int argc, char **argv, const struct cli_options *options)
{
    const char *program = argc > 0 && argv[0][0] != '\0' ? argv[0] : "moonlet";
    struct moonlet_options how = {
        .name = program,
        .stack_size = options->stack_size,
        .preempt = options->preempt,
        .slow = slow_of(options),
        .no_interpose = options->no_interpose,
        .ignore_environment = options->ignore_environment,
        .report_overflow = true,
    };
    unsigned filled = fill_standard_files();
    struct moonlet *m = moonlet_create(&how);
    free_standard_files(filled);
    if (m == NULL || load_all(m, argc, argv, options) != 0) {
        fprintf(stderr, "%s: cannot create a runtime: %s\n", program, strerror(errno));
        return EXIT_FAILURE;
    }
    if (options->profile != NULL && !cli_profile_start(m, program, options->profile)) {
        moonlet_close(m);
        return EXIT_FAILURE;
    }
    current = m;
    watch_signals(options->workers.count > 0);
    int status = moonlet_run(m);
    cli_profile_finish();
    leave_signals();
    current = NULL;
    moonlet_close(m);
    return status;
}

/* In the process that the user has started: runs the master, false: it is done. In those of the
 * workers: true. */
static bool is_to_run(struct cli_options *options, char **argv, int *status)
{
    if (options->workers.count == 0 && !options->checks_handover)
        return true;
    options->workers.arguments = argv;
    options->workers.name = argv[0];
    int result = moonlet_workers_run(&options->workers, status);
    if (result < 0) {
        fprintf(stderr, "%s: cannot run workers: %s\n", argv[0], moonlet_error_text(result));
        *status = EXIT_FAILURE;
    }
    return result > 0;
}

int main(int argc, char **argv)
{
    int status;
    struct cli_options options = cli_options_read(argc, argv);
    if (options.bad != NULL) {
        cli_print_usage(argc > 0 ? argv[0] : "moonlet", &options);
        return EXIT_FAILURE;
    }
    if (options.show_help) {
        cli_print_help(argv[0]);
        return EXIT_SUCCESS;
    }
    if (!is_to_run(&options, argv, &status))
        return status;
    if (options.show_version)
        print_version();
    return run(argc, argv, &options);
}
