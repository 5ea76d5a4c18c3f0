/* Where reports about tasks end: at the host's function, or on the terminal. */
#ifndef ML_VM_TERMINAL_REPORT_H
#define ML_VM_TERMINAL_REPORT_H

struct ml_lua;

/* Tells the host `text`, a report without a newline at its end; without a function of the host's it
 * is written to stderr behind the program's name, past a line that is being edited there. */
void ml_report_to_terminal(struct ml_lua *lua, const char *text);

#endif
