#include "http/url_write.h"

#include "http/url_byte.h"

#include <string.h>

static char *put(char *out, const char *data, size_t size)
{
    if (size > 0)
        memmove(out, data, size);
    return out + size;
}

static char *put_slice(char *out, const char *before, struct ml_slice part, const char *after)
{
    if (part.data == NULL)
        return out;
    out = put(out, before, strlen(before));
    out = put(out, part.data, part.size);
    return put(out, after, strlen(after));
}

static char *put_lower(char *out, const char *before, struct ml_slice part, const char *after)
{
    char *start = out, *end = put_slice(out, before, part, after);
    for (char *p = start; p < end; p++)
        *p = ml_url_lower(*p);
    return end;
}

static char *put_authority(char *out, const struct ml_url *url)
{
    if (url->host.data == NULL)
        return out;
    out = put(out, "//", 2);
    out = put_slice(out, "", url->userinfo, "@");
    out =
        url->is_bracketed ? put_lower(out, "[", url->host, "]") : put_lower(out, "", url->host, "");
    return put_slice(out, ":", url->port, "");
}

size_t ml_url_write(const struct ml_url *url, char *out)
{
    char *end = put_lower(out, "", url->scheme, ":");
    end = put_authority(end, url);
    end = put(end, url->path.data, url->path.size);
    end = put_slice(end, "?", url->query, "");
    end = put_slice(end, "#", url->fragment, "");
    return (size_t)(end - out);
}

/* ---- references ---- */

/* The size of all parts and of the marks between them. */
static size_t url_room(const struct ml_url *url)
{
    return url->scheme.size + url->userinfo.size + url->host.size + url->port.size +
           url->path.size + url->query.size + url->fragment.size + 10;
}

size_t ml_url_join_room(const struct ml_url *base, const struct ml_url *reference)
{
    return url_room(base) + url_room(reference) + 2;
}

/* Whether the segment that begins at `at`, after its "/", is `name`. */
static bool is_segment(const char *at, const char *end, const char *name)
{
    size_t size = strlen(name);
    return (size_t)(end - at) >= size && memcmp(at, name, size) == 0 &&
           (at + size == end || at[size] == '/');
}

/* Removes the last segment and the "/" before it. Returns the new end. */
static char *cut_segment(char *start, char *end)
{
    while (end > start && *--end != '/')
        ;
    return end;
}

/* Does RFC 3986, section 5.2.4, in place. Returns the new end. */
static char *remove_dots(char *path, char *end)
{
    char *out = path;
    const char *in = path;
    while (is_segment(in, end, "..") || is_segment(in, end, "."))
        in += *in == '.' && in + 1 < end && in[1] == '.' ? 2 + (in + 2 < end) : 1 + (in + 1 < end);
    while (in < end) {
        const char *segment = in + (*in == '/');
        bool is_up = *in == '/' && is_segment(segment, end, "..");
        bool is_here = *in == '/' && is_segment(segment, end, ".");
        if (is_up)
            out = cut_segment(path, out);
        if (is_up || is_here) {
            in = segment + (is_up ? 2 : 1);
            if (in == end)
                *out++ = '/';
            continue;
        }
        do
            *out++ = *in++;
        while (in < end && *in != '/');
    }
    return out;
}

/* Section 5.2.3: writes the base's path up to its last "/", then the reference's. */
static char *put_merged(char *out, const struct ml_url *base, struct ml_slice path)
{
    size_t size = base->path.size;
    if (base->host.data != NULL && size == 0)
        return put(put(out, "/", 1), path.data, path.size);
    while (size > 0 && base->path.data[size - 1] != '/')
        size--;
    return put(put(out, base->path.data, size), path.data, path.size);
}

/* The mark that must precede the path so that it is not read as another part of the URL. */
static const char *path_guard(const struct ml_url *target, const char *path, const char *end)
{
    if (target->host.data != NULL)
        return "";
    if (end - path >= 2 && path[0] == '/' && path[1] == '/')
        return "/.";
    const char *colon = memchr(path, ':', (size_t)(end - path));
    bool has_colon = colon != NULL && memchr(path, '/', (size_t)(colon - path)) == NULL;
    return has_colon && target->scheme.data == NULL ? "./" : "";
}

/* Keeps a relative path relative if ".." or empty segments removed its first ones. */
static char *keep_relative(char *path, char *end)
{
    size_t slashes = 0;
    while (path + slashes < end && path[slashes] == '/')
        slashes++;
    if (path + slashes == end)
        return put(path, "./", 2);
    return put(path, path + slashes, (size_t)(end - path) - slashes);
}

/* Writes the reference's path without dots; a relative one is merged with the base's. */
static char *put_path(char *out, const struct ml_url *base, const struct ml_url *reference,
                      const struct ml_url *target)
{
    bool is_whole = reference->scheme.data != NULL || reference->host.data != NULL ||
                    (reference->path.size > 0 && reference->path.data[0] == '/');
    char *end = is_whole ? put(out, reference->path.data, reference->path.size)
                         : put_merged(out, base, reference->path);
    bool is_relative = target->scheme.data == NULL && target->host.data == NULL && *out != '/';
    end = remove_dots(out, end);
    if (is_relative && (end == out || *out == '/'))
        end = keep_relative(out, end);
    const char *guard = path_guard(target, out, end);
    memmove(out + strlen(guard), out, (size_t)(end - out));
    memcpy(out, guard, strlen(guard));
    return end + strlen(guard);
}

size_t ml_url_join(const struct ml_url *base, const struct ml_url *reference, char *out)
{
    struct ml_url target = *reference;
    bool has_scheme = reference->scheme.data != NULL;
    if (!has_scheme)
        target.scheme = base->scheme;
    if (!has_scheme && reference->host.data == NULL) {
        target.userinfo = base->userinfo;
        target.host = base->host;
        target.port = base->port;
        target.is_bracketed = base->is_bracketed;
    }
    bool keeps_path = !has_scheme && reference->host.data == NULL && reference->path.size == 0;
    char *end = put_authority(put_lower(out, "", target.scheme, ":"), &target);
    if (keeps_path)
        end = put(end, base->path.data, base->path.size);
    else
        end = put_path(end, base, reference, &target);
    end = put_slice(
        end, "?", keeps_path && reference->query.data == NULL ? base->query : reference->query, "");
    end = put_slice(end, "#", reference->fragment, "");
    return (size_t)(end - out);
}
