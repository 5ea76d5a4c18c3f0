/* The command line of the program: lua5.4's options, and moonlet's own long ones. */
#ifndef ML_CLI_OPTIONS_H
#define ML_CLI_OPTIONS_H

#include "moonlet.h"

#include <stdbool.h>
#include <stddef.h>

/* The longest address of --inspect. */
enum { CLI_LONGEST_ADDRESS = 255 };

struct cli_options {
    bool ignore_environment; /* -E */
    bool interactive;        /* -i */
    bool show_version;       /* -v, --version, and -i */
    bool has_statement;      /* -e */
    bool show_help;
    bool no_interpose;
    const char *workers_status; /* the pid of a master; NULL: not asked for */
    bool checks_handover;       /* --check-handover=N: another program's master asks */
    bool runs_specs;            /* --test, what follows is for busted */
    bool shows_durable;         /* --durable, what follows says what */
    bool inspect_write, inspect_remote, attach_web;
    const char *attach;  /* the program to show; NULL: none */
    const char *inspect; /* the address, "" for the usual one; NULL: not to be inspected */
    const char *debug;   /* "": a debug adapter; otherwise the socket of one; NULL: neither */
    size_t stack_size;   /* bytes, 0: default */
    double preempt;      /* seconds, 0: off */
    double slow;         /* the same; negative: not given */
    struct moonlet_workers workers; /* --workers; count 0: none */
    const char *profile;            /* --profile: the file; NULL: no profile */
    int first;                      /* the first option */
    int script;        /* index of the script's name, --test or --durable; argc: there is none */
    const char *bad;   /* the wrong option, NULL when there is none */
    const char *needs; /* what it lacks; NULL: it is unknown */
};

struct cli_options cli_options_read(int argc, char **argv);

/* The argument of a short option at argv[*i], joined to it or the next one; in that case *i is
 * moved on. */
const char *cli_option_argument(char **argv, int *i);

/* Prints the usage, after the complaint about options->bad if there is one. */
void cli_print_usage(const char *program, const struct cli_options *options);
void cli_print_help(const char *program);

#endif
