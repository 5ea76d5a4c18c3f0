#include "http/zlib.h"

#include <dlfcn.h>

static bool find_functions(struct ml_zlib *z)
{
    bool has_all = true;
#define ML_ZLIB_FIND(name)                                                                         \
    z->name = (__typeof__(z->name))dlsym(z->library, #name);                                       \
    has_all = has_all && z->name != NULL;
    ML_ZLIB_FUNCTIONS(ML_ZLIB_FIND)
#undef ML_ZLIB_FIND
    return has_all;
}

bool ml_zlib_load(struct ml_zlib *z)
{
    z->library = dlopen("libz.so.1", RTLD_NOW | RTLD_LOCAL);
    if (z->library == NULL || find_functions(z))
        return z->library != NULL;
    dlclose(z->library);
    z->library = NULL;
    return false;
}

int ml_zlib_begin_deflate(const struct ml_zlib *z, z_stream *stream, int level, int window_bits,
                          int memory_level)
{
    return z->deflateInit2_(stream, level, Z_DEFLATED, window_bits, memory_level,
                            Z_DEFAULT_STRATEGY, ZLIB_VERSION, (int)sizeof *stream);
}

int ml_zlib_begin_inflate(const struct ml_zlib *z, z_stream *stream, int window_bits)
{
    return z->inflateInit2_(stream, window_bits, ZLIB_VERSION, (int)sizeof *stream);
}
