#include "options.h"

#include "moonlet.h"
#include "profile.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(struct cli_options *options, const char *option, const char *needs)
{
    options->bad = option;
    options->needs = needs;
}

/* "8M", "512K" or bytes; 0 when it is no such number. */
static size_t parse_size(const char *text)
{
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    unsigned shift = *end == 'K' || *end == 'k' ? 10 : *end == 'M' || *end == 'm' ? 20 : 0;
    end += shift > 0;
    if (errno != 0 || end == text || *end != '\0' || *text == '-' || number > SIZE_MAX >> shift)
        return 0;
    return (size_t)number << shift;
}

/* Below 512K a script can fill a stack before Lua's limit of C levels stops it; a very large size
 * is a mistake. */
static bool is_stack_size(size_t size)
{
    return size >= MOONLET_LEAST_STACK && size <= (size_t)1 << 30;
}

/* The value of "NAME VALUE", of which the second argument is then taken, or "NAME=VALUE"; NULL:
 * there is none. */
static const char *value_of(char **argv, int *i, const char *name)
{
    const char *value = argv[*i] + strlen(name);
    if (*value == '=')
        value++;
    else if ((value = argv[*i + 1]) != NULL)
        ++*i;
    return value;
}

static void read_stack_size(struct cli_options *options, char **argv, int *i)
{
    const char *name = "--stack-size", *value = value_of(argv, i, name);
    options->stack_size = value != NULL ? parse_size(value) : 0;
    if (!is_stack_size(options->stack_size))
        fail(options, name, "a size from 64K to 1024M");
}

/* Milliseconds as seconds. */
static double read_milliseconds(struct cli_options *options, char **argv, int *i, const char *name)
{
    const char *value = value_of(argv, i, name);
    char *end = NULL;
    double number = value != NULL ? strtod(value, &end) : -1;
    bool is_number = value != NULL && end != value && *end == '\0' && *value != ' ';
    if (!is_number || !(number == 0 || (number >= 1 && number <= 60000)))
        fail(options, name, "milliseconds, 1 to 60000; 0: off");
    return number / 1000;
}

/* The number behind "name=" in a list; false: it does not begin so. */
static bool read_item(const char *item, const char *name, double *number)
{
    size_t length = strlen(name);
    char *end;
    if (strncmp(item, name, length) != 0 || item[length] != '=')
        return false;
    *number = strtod(item + length + 1, &end);
    return end != item + length + 1 && (*end == '\0' || *end == ',') && *number > 0;
}

/* One of what may follow the number of workers. */
static bool read_worker_item(struct moonlet_workers *workers, const char *item)
{
    double number;
    bool is_flag = strncmp(item, "reuseport", 9) == 0 && (item[9] == '\0' || item[9] == ',');
    if (is_flag)
        workers->reuseport = true;
    else if (read_item(item, "max_requests", &number))
        workers->max_requests = (unsigned long long)number;
    else if (read_item(item, "max_rss", &number))
        workers->max_rss = (size_t)number;
    else if (read_item(item, "grace", &number))
        workers->grace = number;
    else if (read_item(item, "boot", &number))
        workers->boot = number;
    else if (read_item(item, "stuck", &number))
        workers->stuck = number;
    else if (read_item(item, "tickets", &number))
        workers->tickets = number;
    else
        return false;
    return true;
}

static void read_workers(struct cli_options *options, char **argv, int *i)
{
    const unsigned long most = 1024;
    const char *name = "--workers", *value = value_of(argv, i, name);
    char *end = NULL;
    unsigned long count = value != NULL ? strtoul(value, &end, 10) : 0;
    bool is_right = value != NULL && value[0] >= '0' && value[0] <= '9' && count >= 1 &&
                    count <= most && (*end == '\0' || *end == ',');
    options->workers.count = (unsigned)count;
    while (is_right && *end == ',') {
        is_right = read_worker_item(&options->workers, end + 1);
        end += 1 + strcspn(end + 1, ",");
    }
    if (!is_right)
        fail(options, name,
             "a number from 1 to 1024, and reuseport, max_requests=N, max_rss=BYTES,\n"
             "grace=S, boot=S, stuck=S, tickets=S behind it, with commas between");
}

static void read_workers_status(struct cli_options *options, char **argv, int *i)
{
    const char *name = "--workers-status", *value = value_of(argv, i, name);
    bool is_number = value != NULL && *value != '\0' && strlen(value) < 20 &&
                     strspn(value, "0123456789") == strlen(value);
    options->workers_status = value;
    if (!is_number)
        fail(options, name, "the PID of a program with workers");
}

static void read_profile(struct cli_options *options, char **argv, int *i)
{
    const char *name = "--profile";
    options->profile = value_of(argv, i, name);
    if (options->profile == NULL || !cli_profile_can_write(options->profile))
        fail(options, name, "a file *.svg, *.folded, *.txt, *.json or *.pb.gz");
}

static bool is_option(const char *argument, const char *name)
{
    size_t length = strlen(name);
    return strncmp(argument, name, length) == 0 &&
           (argument[length] == '\0' || argument[length] == '=');
}

/* Its address may be left out, and is never an argument of its own. */
static void read_inspect(struct cli_options *options, const char *argument)
{
    const char *equals = strchr(argument, '=');
    options->inspect = equals != NULL ? equals + 1 : "";
    if (strlen(options->inspect) > CLI_LONGEST_ADDRESS)
        fail(options, "--inspect", "a shorter address");
}

static void read_attach(struct cli_options *options, char **argv, int *i)
{
    options->attach = value_of(argv, i, "--attach");
    if (options->attach == NULL || *options->attach == '\0' ||
        strlen(options->attach) > CLI_LONGEST_ADDRESS)
        fail(options, "--attach", "a PID or an address");
}

/* Its value comes from the adapter. */
static void read_debug(struct cli_options *options, const char *argument)
{
    const char *equals = strchr(argument, '=');
    options->debug = equals != NULL ? equals + 1 : "";
    if (strlen(options->debug) > CLI_LONGEST_ADDRESS)
        fail(options, "--debug", "a shorter path");
}

static void read_long(struct cli_options *options, char **argv, int *i)
{
    if (strcmp(argv[*i], "--help") == 0)
        options->show_help = true;
    else if (strcmp(argv[*i], "--version") == 0)
        options->show_version = true;
    else if (strcmp(argv[*i], "--no-interpose") == 0)
        options->no_interpose = true;
    else if (is_option(argv[*i], "--inspect"))
        read_inspect(options, argv[*i]);
    else if (is_option(argv[*i], "--attach"))
        read_attach(options, argv, i);
    else if (strcmp(argv[*i], "--web") == 0)
        options->attach_web = true;
    else if (is_option(argv[*i], "--debug"))
        read_debug(options, argv[*i]);
    else if (strcmp(argv[*i], "--inspect-write") == 0)
        options->inspect_write = true;
    else if (strcmp(argv[*i], "--inspect-remote") == 0)
        options->inspect_remote = true;
    else if (is_option(argv[*i], "--profile"))
        read_profile(options, argv, i);
    else if (is_option(argv[*i], "--stack-size"))
        read_stack_size(options, argv, i);
    else if (is_option(argv[*i], "--check-handover"))
        options->checks_handover = true;
    else if (is_option(argv[*i], "--workers-status"))
        read_workers_status(options, argv, i);
    else if (is_option(argv[*i], "--workers"))
        read_workers(options, argv, i);
    else if (is_option(argv[*i], "--preempt"))
        options->preempt = read_milliseconds(options, argv, i, "--preempt");
    else if (is_option(argv[*i], "--slow"))
        options->slow = read_milliseconds(options, argv, i, "--slow");
    else
        fail(options, argv[*i], NULL);
}

const char *cli_option_argument(char **argv, int *i)
{
    if (argv[*i][2] != '\0')
        return argv[*i] + 2;
    return argv[++*i];
}

static void read_with_argument(struct cli_options *options, char **argv, int *i)
{
    char *option = argv[*i];
    const char *argument = cli_option_argument(argv, i);
    if (argument == NULL || *argument == '-')
        fail(options, option, "argument");
}

static void read_short(struct cli_options *options, char **argv, int *i)
{
    char letter = argv[*i][1];
    if (strchr("ivEW", letter) != NULL && argv[*i][2] != '\0') {
        fail(options, argv[*i], NULL);
        return;
    }
    options->ignore_environment |= letter == 'E';
    options->interactive |= letter == 'i';
    options->show_version |= letter == 'i' || letter == 'v';
    options->has_statement |= letter == 'e';
    if (letter == 'e' || letter == 'l')
        read_with_argument(options, argv, i);
    else if (strchr("ivEW", letter) == NULL)
        fail(options, argv[*i], NULL);
}

/* Complains about options that do nothing without another one. */
static void check_companions(struct cli_options *options)
{
    if (options->bad != NULL)
        return;
    if (options->attach_web && options->attach == NULL)
        fail(options, "--web", "--attach PID");
    else if (options->inspect_write && options->inspect == NULL)
        fail(options, "--inspect-write", "--inspect");
    else if (options->inspect_remote && options->inspect == NULL)
        fail(options, "--inspect-remote", "--inspect=HOST:PORT");
}

struct cli_options cli_options_read(int argc, char **argv)
{
    struct cli_options options = {.first = argc > 0 ? 1 : 0, .slow = -1};
    int i = options.first;
    for (; argv[i] != NULL && argv[i][0] == '-' && argv[i][1] != '\0'; i++) {
        if (strcmp(argv[i], "--") == 0) {
            i++;
            break;
        }
        options.runs_specs = strcmp(argv[i], "--test") == 0;
        options.shows_durable = strcmp(argv[i], "--durable") == 0;
        if (options.runs_specs || options.shows_durable)
            break;
        if (argv[i][1] == '-')
            read_long(&options, argv, &i);
        else
            read_short(&options, argv, &i);
        if (options.bad != NULL)
            break;
    }
    options.script = i < argc ? i : argc;
    check_companions(&options);
    return options;
}

void cli_print_usage(const char *program, const struct cli_options *options)
{
    fprintf(stderr, "%s: ", program);
    if (options->needs != NULL)
        fprintf(stderr, "'%s' needs %s\n", options->bad, options->needs);
    else
        fprintf(stderr, "unrecognized option '%s'\n", options->bad);
    fprintf(stderr,
            "usage: %s [options] [script [args]]\n"
            "'%s --help' lists the options\n",
            program, program);
}

void cli_print_help(const char *program)
{
    printf("usage: %s [options] [script [args]]\n"
           "Runs a Lua 5.4 script in green threads: require \"moonlet\" has them.\n"
           "  -e stat            execute string 'stat'\n"
           "  -i                 enter interactive mode after executing 'script'\n"
           "  -l mod             require library 'mod' into global 'mod'\n"
           "  -l g=mod           require library 'mod' into global 'g'\n"
           "  -v, --version      show version information\n"
           "  -E                 ignore environment variables\n"
           "  -W                 turn warnings on\n"
           "  --stack-size SIZE  bytes of each C stack, 64K to 1024M (8M); below 512K a\n"
           "                     deep recursion can end the program\n"
           "  --attach PID       show the tasks of a running program, which was started\n"
           "                     with --inspect; also unix:PATH, or the URL it has printed\n"
           "  --web              with --attach: serve its page to a browser\n"
           "  --inspect[=ADDR]   serve a page with the tasks of the running program, at\n"
           "                     HOST:PORT, :PORT or unix:PATH; without ADDR where\n"
           "                     'moonlet --attach PID' finds it\n"
           "  --inspect-write    also visitors over TCP may evaluate code and cancel tasks\n"
           "  --inspect-remote   ADDR may be one that other machines reach\n"
           "  --debug            be a debug adapter (DAP) on stdin and stdout; with --attach for\n"
           "                     a program that runs already\n"
           "  --profile FILE     write where the CPU time went to FILE.svg, a flame graph;\n"
           "                     .folded, .json (speedscope) or .pb.gz (pprof)\n"
           "  --no-interpose     let C libraries block all tasks, as libc does\n"
           "  --preempt MS       a task that has computed for so long lets others run (0:\n"
           "                     it need not)\n"
           "  --slow MS          warn of tasks that compute for so long while others cannot\n"
           "                     run (100; 0: do not, as with --test)\n"
           "  --workers N        run the script in N processes that share what it listens\n"
           "                     on; N,max_requests=K and the like: see the manual\n"
           "  --workers-status PID  show the workers of a running program\n"
           "  --durable DB ls    list the durable runs in a database; show ID, retry ID,\n"
           "                     cancel ID\n"
           "  --test [paths]     run specs of busted, each test in a task; all arguments\n"
           "                     after it are for busted; without paths: 'spec'\n"
           "  --help             show this help\n"
           "  --                 stop handling options\n"
           "  -                  stop handling options and execute stdin\n"
           "Exit status: 0; 1 after an error; 70 at a deadlock; 130 after Ctrl-C, 143\n"
           "after SIGTERM, 129 after SIGHUP, once every task was cancelled and has\n"
           "cleaned up.\n",
           program);
}
