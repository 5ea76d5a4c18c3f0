#include "vm/terminal_report.h"

#include "interpose/prompt.h"
#include "vm/moonlet_state.h"
#include "vm/threads.h"

#include <stdio.h>
#include <unistd.h>

void ml_report_to_terminal(struct ml_lua *lua, const char *text)
{
    const struct moonlet_options *options = &ml_moonlet_of(lua)->options;
    if (options->report != NULL) {
        options->report(options->report_context, text);
        return;
    }
    ml_prompt_make_way(lua->libc_calls, STDERR_FILENO, "\n", 1);
    const char *thread = ml_worker_name(ml_moonlet_of(lua)->worker);
    if (thread != NULL)
        fprintf(stderr, "%s: thread '%s': %s\n", options->name, thread, text);
    else
        fprintf(stderr, "%s: %s\n", options->name, text);
    fflush(stderr);
}
