/*
 * c-ares, loaded when it is first needed, for moonlet alone. Linked, its names would serve also a
 * library that has brought a c-ares of its own. Its functions are called through a table, under
 * their own names, typed by its header.
 */
#ifndef ML_IO_CARES_H
#define ML_IO_CARES_H

#include <ares.h>

#define ML_CARES_FUNCTIONS(X)                                                                      \
    X(ares_create_query)                                                                           \
    X(ares_destroy)                                                                                \
    X(ares_expand_name)                                                                            \
    X(ares_free_string)                                                                            \
    X(ares_init_options)                                                                           \
    X(ares_process_fd)                                                                             \
    X(ares_send)                                                                                   \
    X(ares_set_servers_ports)                                                                      \
    X(ares_set_socket_functions)

struct ml_cares {
#define ML_CARES_MEMBER(name) __typeof__(name) *(name);
    ML_CARES_FUNCTIONS(ML_CARES_MEMBER)
#undef ML_CARES_MEMBER
};

/* Written once, by the first ml_cares_load(); then it is a constant. */
extern struct ml_cares ml_cares;

/* Loads c-ares; to be called before anything else here, from any thread. 0; -ELIBACC: there is no
 * c-ares, or one without these functions. */
int ml_cares_load(void);

#ifndef ML_CARES_PLAIN /* keeps c-ares' own names, for the file that fills the table */
#define ares_create_query ml_cares.ares_create_query
#define ares_destroy ml_cares.ares_destroy
#define ares_expand_name ml_cares.ares_expand_name
#define ares_free_string ml_cares.ares_free_string
#define ares_init_options ml_cares.ares_init_options
#define ares_process_fd ml_cares.ares_process_fd
#define ares_send ml_cares.ares_send
#define ares_set_servers_ports ml_cares.ares_set_servers_ports
#define ares_set_socket_functions ml_cares.ares_set_socket_functions
#endif

#endif
