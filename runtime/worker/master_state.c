#include "worker/master_state.h"

#include <stdarg.h>
#include <stdio.h>

void ml_master_log(const struct ml_master *master, const char *format, ...)
{
    char text[512];
    va_list arguments;
    if (master->options.log == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    master->options.log(master->options.context, text);
}

struct ml_worker_process *ml_master_process(const struct ml_master *master, uint32_t serial)
{
    for (struct ml_link *link = master->processes.next; link != &master->processes;
         link = link->next)
        if (ml_process_at(link)->serial == serial)
            return ml_process_at(link);
    return NULL;
}
