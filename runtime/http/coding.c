#include "http/coding.h"

#include "http/codecs.h"

#include <strings.h>

static const char *const names[] = {
    [ML_CODING_IDENTITY] = "identity", [ML_CODING_GZIP] = "gzip",
    [ML_CODING_DEFLATE] = "deflate",   [ML_CODING_BR] = "br",
    [ML_CODING_ZSTD] = "zstd",         [ML_CODING_UNKNOWN] = "unknown",
};

static bool is_name(const char *name, size_t size, const char *known)
{
    return strncasecmp(name, known, size) == 0 && known[size] == '\0';
}

enum ml_coding ml_coding_by_name(const char *name, size_t size)
{
    if (size == 0 || size > sizeof "identity" - 1)
        return ML_CODING_UNKNOWN;
    for (int i = 0; i < ML_CODING_UNKNOWN; i++)
        if (is_name(name, size, names[i]))
            return (enum ml_coding)i;
    return is_name(name, size, "x-gzip") ? ML_CODING_GZIP : ML_CODING_UNKNOWN;
}

const char *ml_coding_name(enum ml_coding coding)
{
    return names[coding];
}

bool ml_coding_can_decode(struct ml_io *io, enum ml_coding coding)
{
    switch (coding) {
    case ML_CODING_IDENTITY:
        return true;
    case ML_CODING_GZIP:
    case ML_CODING_DEFLATE:
        return ml_codecs_zlib(io) != NULL;
    case ML_CODING_BR:
        return ml_codecs_brotli_decoder(io) != NULL;
    case ML_CODING_ZSTD:
        return ml_codecs_zstd(io) != NULL;
    case ML_CODING_UNKNOWN:
        break;
    }
    return false;
}

bool ml_coding_can_encode(struct ml_io *io, enum ml_coding coding)
{
    switch (coding) {
    case ML_CODING_IDENTITY:
        return true;
    case ML_CODING_GZIP:
        return ml_codecs_zlib(io) != NULL;
    case ML_CODING_BR:
        return ml_codecs_brotli_encoder(io) != NULL;
    case ML_CODING_DEFLATE:
    case ML_CODING_ZSTD:
    case ML_CODING_UNKNOWN:
        break;
    }
    return false;
}
