#include "base/error.h"

#include <stdlib.h>
#include <string.h>

struct error_entry {
    int number;
    const char *name;
    const char *text;
};

/* ETIMEDOUT and EMSGSIZE stand here too: libc's sentences for them mislead in a script. */
static const struct error_entry entries[] = {
#define ML_ERROR_ENTRY(id, number, name, text) {number, name, text},
    ML_ERRORS(ML_ERROR_ENTRY)
#undef ML_ERROR_ENTRY
        {ETIMEDOUT, "ETIMEDOUT", "timeout"},
    {ECANCELED, "ECANCELED", "cancelled"},
};

static const struct error_entry *entry_of(int number)
{
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++)
        if (entries[i].number == number)
            return &entries[i];
    return NULL;
}

const char *ml_error_name(int error)
{
    const struct error_entry *entry = entry_of(abs(error));
    const char *name = entry != NULL ? entry->name : strerrorname_np(abs(error));
    return name != NULL ? name : "EUNKNOWN";
}

int ml_error_number(const char *name)
{
    enum { MOST = 140 };
    for (int i = 1; name != NULL && i < MOST; i++)
        if (strcmp(ml_error_name(i), name) == 0)
            return -i;
    return -EIO;
}

const char *ml_error_text(int error)
{
    const struct error_entry *entry = entry_of(abs(error));
    const char *text = entry != NULL ? entry->text : strerrordesc_np(abs(error));
    return text != NULL ? text : "unknown error";
}
