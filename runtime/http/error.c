#include "http/error.h"

static const struct {
    int status;
    const char *text;
} errors[] = {{400, "the message is malformed"},
#define ML_HTTP_ERROR_ROW(name, status, text) {status, text},
              ML_HTTP_ERRORS(ML_HTTP_ERROR_ROW)
#undef ML_HTTP_ERROR_ROW
};

static int place_of(int error)
{
    return error < 0 && error > -(int)ML_HTTP_ERROR_COUNT ? -error : ML_HTTP_NO_ERROR;
}

int ml_http_error_status(int error)
{
    return errors[place_of(error)].status;
}

const char *ml_http_error_text(int error)
{
    return errors[place_of(error)].text;
}
