/*
 * libedit, loaded when a line is first edited. The part of its interface that is used is declared
 * here, so that building needs none of its headers: the names and numbers of histedit.h, fixed by
 * the library's version, libedit.so.2. Knows no task.
 */
#ifndef ML_IO_EDITLINE_H
#define ML_IO_EDITLINE_H

#include <stdio.h>
#include <wchar.h>

struct ml_el;         /* EditLine */
struct ml_el_history; /* History */

struct ml_el_event {
    int number;
    const char *text;
};

struct ml_el_line {
    const wchar_t *start, *cursor, *end;
};

/* Operations of el_set(), el_get() and history(), and results of a function bound to a key. */
enum {
    ML_EL_EDITOR = 2,
    ML_EL_BIND = 4,
    ML_EL_ADDFN = 9,
    ML_EL_HIST = 10,
    ML_EL_GETCFN = 13,
    ML_EL_CLIENTDATA = 14,
    ML_EL_PREP_TERM = 16,
    ML_EL_REFRESH = 20,
    ML_EL_PROMPT_ESC = 21
};
enum { ML_H_SETSIZE = 1, ML_H_ENTER = 10, ML_H_SETUNIQUE = 20 };
enum { ML_CC_NORM = 0, ML_CC_REFRESH = 4, ML_CC_ERROR = 6 };

#define ML_EDITLINE_FUNCTIONS(X)                                                                   \
    X(struct ml_el *, el_init, (const char *program, FILE *in, FILE *out, FILE *errors))           \
    X(void, el_end, (struct ml_el * el))                                                           \
    X(const char *, el_gets, (struct ml_el * el, int *count))                                      \
    X(int, el_set, (struct ml_el * el, int operation, ...))                                        \
    X(int, el_wset, (struct ml_el * el, int operation, ...))                                       \
    X(int, el_get, (struct ml_el * el, int operation, ...))                                        \
    X(int, el_source, (struct ml_el * el, const char *file))                                       \
    X(void, el_resize, (struct ml_el * el))                                                        \
    X(int, el_insertstr, (struct ml_el * el, const char *text))                                    \
    X(const struct ml_el_line *, el_wline, (struct ml_el * el))                                    \
    X(struct ml_el_history *, history_init, (void))                                                \
    X(void, history_end, (struct ml_el_history * history))                                         \
    X(int, history,                                                                                \
      (struct ml_el_history * history, struct ml_el_event * event, int operation, ...))

struct ml_editline {
// NOLINTNEXTLINE(bugprone-macro-parentheses): a type
#define ML_EDITLINE_MEMBER(type, name, parameters) type(*name) parameters;
    ML_EDITLINE_FUNCTIONS(ML_EDITLINE_MEMBER)
#undef ML_EDITLINE_MEMBER
};

/* Fills the table. 0, or -ENOENT: there is no libedit here. The library stays in the process. */
int ml_editline_load(struct ml_editline *e);

#endif
