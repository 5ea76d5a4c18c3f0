/*
 * A parser that calls back, read as if it were asked: Expat runs in a task of its own, and its
 * callback waits in a channel until the reader, another task, wants the next element. Neither knows
 * of the other's stack.
 */
#include "moonlet.h"

#include <expat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char document[] =
    "<menu><dish price='4'>soup</dish><dish price='9'>fish</dish><drink>tea</drink></menu>";

struct source {
    struct moonlet_channel *names;
    XML_Parser parser;
};

/* Called by Expat, deep in XML_Parse(). The name is Expat's, and gone when this returns: the reader
 * gets a copy. */
static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
    struct source *source = context;
    (void)attributes;
    char *copy = strdup(name);
    if (moonlet_channel_put(source->names, copy, -1) == 0)
        return;
    free(copy);
    XML_StopParser(source->parser, XML_FALSE);
}

static int parse(struct moonlet *m, void *argument)
{
    struct source *source = argument;
    (void)m;
    XML_SetUserData(source->parser, source);
    XML_SetStartElementHandler(source->parser, on_start);
    int is_well = XML_Parse(source->parser, document, (int)strlen(document), 1) == XML_STATUS_OK;
    moonlet_channel_close(source->names);
    return is_well ? 0 : 1;
}

/* Sequential: no state is kept between two calls of a handler. */
static int read_menu(struct moonlet *m, void *argument)
{
    struct source *source = argument;
    void *name;
    int dishes = 0;
    (void)m;
    while (moonlet_channel_get(source->names, &name, -1) == 0) {
        if (strcmp(name, "dish") == 0)
            printf("dish %d\n", ++dishes);
        else
            printf("%s\n", (char *)name);
        free(name);
    }
    return dishes;
}

int main(void)
{
    struct moonlet *m = moonlet_create(NULL);
    if (m == NULL)
        return 1;
    struct source source = {moonlet_channel_new(m, 1), XML_ParserCreate(NULL)};
    moonlet_spawn(m, "parser", parse, &source, NULL);
    moonlet_spawn(m, "reader", read_menu, &source, NULL);
    int status = moonlet_run(m);
    XML_ParserFree(source.parser);
    moonlet_channel_free(source.names);
    moonlet_close(m);
    return status;
}
