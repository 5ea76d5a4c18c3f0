#include "system/file/watch_inbox.h"

#include "base/check.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>

/* What counts as one kind for a reader, so that equal events fold into one. */
#define CHANGES (IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB)

void ml_watch_inbox_init(struct ml_watch_inbox *inbox)
{
    *inbox = (struct ml_watch_inbox){.most = ML_WATCH_INBOX_MOST};
    ml_list_init(&inbox->notes);
    ml_list_init(&inbox->waiters);
}

struct ml_watch_note *ml_watch_note_next(const struct ml_watch_inbox *inbox,
                                         const struct ml_watch_note *note)
{
    struct ml_link *next = note->link.next;
    return next != &inbox->notes ? ml_container_of(next, struct ml_watch_note, link) : NULL;
}

struct ml_watch_note *ml_watch_note_first(const struct ml_watch_inbox *inbox)
{
    struct ml_link *next = inbox->notes.next;
    return next != &inbox->notes ? ml_container_of(next, struct ml_watch_note, link) : NULL;
}

static size_t note_bytes(const struct ml_watch_note *note)
{
    return sizeof *note + note->size + 1;
}

void ml_watch_note_drop(struct ml_watch_inbox *inbox, struct ml_watch_note *note)
{
    inbox->bytes -= note_bytes(note);
    ml_list_remove(&note->link);
    free(note);
}

void ml_watch_notes_drop_all(struct ml_watch_inbox *inbox)
{
    struct ml_watch_note *note;
    while ((note = ml_watch_note_first(inbox)) != NULL)
        ml_watch_note_drop(inbox, note);
}

static void lose(struct ml_watch_inbox *inbox)
{
    ml_watch_notes_drop_all(inbox);
    inbox->is_lost = true;
}

/* Whether the note says the same as the one that was put in before it: a file changes. */
static bool is_repeated(const struct ml_watch_inbox *inbox, const struct inotify_event *event,
                        size_t size)
{
    if ((event->mask & CHANGES) == 0 || ml_list_is_empty(&inbox->notes))
        return false;
    const struct ml_watch_note *last =
        ml_container_of(inbox->notes.prev, struct ml_watch_note, link);
    return last->wd == event->wd && (last->mask & CHANGES) != 0 && last->size == size &&
           memcmp(last->name, event->name, size) == 0;
}

static bool has_room(const struct ml_watch_inbox *inbox, size_t size)
{
    return inbox->bytes + sizeof(struct ml_watch_note) + size < inbox->most;
}

int ml_watch_note_put(struct ml_watch_inbox *inbox, const struct inotify_event *event,
                      ml_time read_at, ml_time drained_at)
{
    size_t size = event->len > 0 ? strnlen(event->name, event->len) : 0;
    if (inbox->is_lost || is_repeated(inbox, event, size))
        return 0;
    if (!has_room(inbox, size)) {
        lose(inbox);
        return 0;
    }
    struct ml_watch_note *note = malloc(sizeof *note + size + 1);
    if (note == NULL) {
        lose(inbox);
        return -ENOMEM;
    }
    *note = (struct ml_watch_note){.read_at = read_at,
                                   .drained_at = drained_at,
                                   .wd = event->wd,
                                   .mask = event->mask,
                                   .cookie = event->cookie,
                                   .size = size};
    memcpy(note->name, event->name, size);
    note->name[size] = '\0';
    inbox->bytes += note_bytes(note);
    ml_list_insert(&inbox->notes, &note->link);
    return 0;
}
