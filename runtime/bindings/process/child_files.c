#include "bindings/process/child_files.h"

#include "bindings/core/object.h"
#include "bindings/net/stream_object.h"
#include "io/pipe.h"
#include "system/file/file.h"
#include "system/process/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const char *const names[ML_STANDARD_FILES] = {"stdin", "stdout", "stderr"};

/* ---- reading ---- */

/* Without a place: stdlib/moonlet/process/start.lua tells the caller's. */
static _Noreturn void refuse(lua_State *L, int number, const char *why)
{
    lua_pushfstring(L, "option '%s' %s", names[number], why);
    lua_error(L);
    __builtin_unreachable();
}

static void read_word(lua_State *L, int number, struct ml_child_file *file)
{
    static const char *const words[] = {"inherit", "null", "pipe", "terminal", "stdout", NULL};
    const char *word = lua_tostring(L, -1);
    int kind = 0;
    while (words[kind] != NULL && strcmp(words[kind], word) != 0)
        kind++;
    bool is_merge = kind == ML_FILE_AS_STDOUT;
    if (words[kind] == NULL || (is_merge && number != STDERR_FILENO))
        refuse(L, number,
               lua_pushfstring(L, "must be \"pipe\", \"inherit\", \"null\"%s, a file or a stream",
                               number == STDERR_FILENO ? ", \"stdout\"" : ""));
    file->kind = kind;
}

/* Output that the program wrote before comes first; what it has read ahead is given back, if the
 * file can be sought in. */
static void read_file(lua_State *L, int number, luaL_Stream *handle, struct ml_child_file *file)
{
    if (handle->closef == NULL)
        refuse(L, number, "is a closed file");
    fflush(handle->f);
    file->kind = ML_FILE_DESCRIPTOR;
    file->fd = fileno(handle->f);
    if (file->fd < 0)
        refuse(L, number, "is a file without a descriptor");
}

static void read_stream(lua_State *L, int number, struct ml_stream *s, struct ml_child_file *file)
{
    if (!ml_stream_is_open(s))
        refuse(L, number, "is a closed stream");
    if (s->tls != NULL)
        refuse(L, number, "is a stream over TLS, which only this process can speak");
    if (!ml_fd_is_open(&s->fd))
        refuse(L, number, "is a stream without a descriptor");
    if (ml_stream_has_input(s))
        refuse(L, number, "is a stream with input that was received already");
    if (s->is_reading || s->writer != NULL)
        refuse(L, number, "is a stream that a task reads from or writes to");
    file->kind = ML_FILE_STREAM;
    file->given = s;
    file->fd = s->fd.number;
}

/* The child begins where the next read or write here would; the place here stays. */
static void read_disk_file(lua_State *L, int number, struct ml_file *disk,
                           struct ml_child_file *file)
{
    if (disk->descriptor == NULL)
        refuse(L, number, "is a closed file");
    if (!disk->is_disk)
        refuse(L, number, "is a FIFO or a device: open it with io.open");
    if (ml_file_settle(disk) != 0 || disk->output != NULL)
        refuse(L, number, "is a file that a task reads from or writes to");
    file->kind = ML_FILE_DESCRIPTOR;
    file->fd = disk->descriptor->fd;
    lseek(file->fd, disk->at, SEEK_SET);
}

/* The value is on top of the stack. */
static void read_one(lua_State *L, int number, struct ml_child_file *file)
{
    luaL_Stream *handle = luaL_testudata(L, -1, LUA_FILEHANDLE);
    struct ml_stream *stream = lua_isuserdata(L, -1) ? ml_test_object(L, -1, ml_stream_type) : NULL;
    struct ml_file *disk = lua_isuserdata(L, -1) ? ml_test_object(L, -1, ml_file_type) : NULL;
    *file = (struct ml_child_file){.fd = -1, .peer = -1};
    if (lua_type(L, -1) == LUA_TSTRING)
        read_word(L, number, file);
    else if (handle != NULL)
        read_file(L, number, handle, file);
    else if (stream != NULL)
        read_stream(L, number, stream, file);
    else if (disk != NULL)
        read_disk_file(L, number, disk, file);
    else
        refuse(L, number,
               lua_pushfstring(L, "must be a word, a file or a stream, not a %s",
                               luaL_typename(L, -1)));
}

void ml_child_files_read(lua_State *L, int index, struct ml_child_files *files)
{
    *files = (struct ml_child_files){.terminal = -1, .master = -1};
    for (int i = 0; i < ML_STANDARD_FILES; i++) {
        lua_rawgeti(L, index, i + 1);
        read_one(L, i, &files->files[i]);
        files->has_terminal |= files->files[i].kind == ML_FILE_TERMINAL;
        lua_pop(L, 1);
    }
}

void ml_child_files_push_streams(lua_State *L, struct ml_child_files *files)
{
    for (int i = 0; i < ML_STANDARD_FILES; i++) {
        struct ml_child_file *file = &files->files[i];
        if (file->kind == ML_FILE_PIPE)
            file->ours = ml_push_stream(L);
        else
            lua_pushnil(L);
    }
    if (files->has_terminal)
        files->pty = ml_push_stream(L);
    else
        lua_pushnil(L);
}

/* ---- opening ---- */

static int open_null(struct ml_child_file *file, int number)
{
    int access = number == STDIN_FILENO ? O_RDONLY : O_WRONLY;
    file->fd = open("/dev/null", access | O_CLOEXEC);
    file->is_opened = file->fd >= 0;
    return file->fd >= 0 ? 0 : -errno;
}

static bool set_waiting(int fd, bool waits)
{
    int flags = fcntl(fd, F_GETFL);
    int wanted = waits ? flags & ~O_NONBLOCK : flags | O_NONBLOCK;
    return flags >= 0 && (flags == wanted || fcntl(fd, F_SETFL, wanted) == 0);
}

/* Only this program's end is non-blocking. */
static int open_pipe(struct ml_child_file *file, int number)
{
    int ends[2];
    bool is_input = number == STDIN_FILENO;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -errno;
    file->fd = ends[!is_input];
    file->peer = ends[is_input];
    file->is_opened = true;
    return set_waiting(file->peer, false) ? 0 : -errno;
}

static int open_file(struct ml_child_files *files, int number)
{
    struct ml_child_file *file = &files->files[number];
    switch (file->kind) {
    case ML_FILE_INHERIT:
        file->fd = ML_SPAWN_INHERIT;
        return 0;
    case ML_FILE_NULL:
        return open_null(file, number);
    case ML_FILE_PIPE:
        return open_pipe(file, number);
    case ML_FILE_TERMINAL:
        file->fd = files->terminal;
        return 0;
    case ML_FILE_AS_STDOUT:
        file->fd = files->files[STDOUT_FILENO].fd;
        if (file->fd == ML_SPAWN_INHERIT)
            file->fd = STDOUT_FILENO;
        return 0;
    case ML_FILE_STREAM:
        return set_waiting(file->fd, true) ? 0 : -errno;
    default:
        return 0;
    }
}

/* The other side is opened by the descriptor, and so also where /dev/pts is not this one's. */
static int open_terminal(struct ml_child_files *files)
{
    struct winsize size = {.ws_row = files->rows, .ws_col = files->columns};
    int locked = 0;
    files->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (files->master < 0 || ioctl(files->master, TIOCSPTLCK, &locked) != 0 ||
        ioctl(files->master, TIOCSWINSZ, &size) != 0)
        return -errno;
    files->terminal = ioctl(files->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return files->terminal >= 0 ? 0 : -errno;
}

int ml_child_files_open(struct ml_child_files *files)
{
    int error = files->has_terminal ? open_terminal(files) : 0;
    for (int i = 0; i < ML_STANDARD_FILES && error == 0; i++)
        error = open_file(files, i);
    if (error != 0)
        ml_child_files_undo(files);
    return error;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void close_theirs(struct ml_child_files *files)
{
    for (int i = 0; i < ML_STANDARD_FILES; i++)
        if (files->files[i].is_opened)
            close_fd(&files->files[i].fd);
    close_fd(&files->terminal);
}

void ml_child_files_hand_over(struct ml_child_files *files)
{
    close_theirs(files);
    for (int i = 0; i < ML_STANDARD_FILES; i++) {
        struct ml_child_file *file = &files->files[i];
        if (file->given != NULL)
            ml_stream_close(file->given);
        if (file->ours != NULL)
            ml_pipe_open(file->ours, file->peer,
                         i == STDIN_FILENO ? ML_PIPE_WRITES : ML_PIPE_READS);
    }
    if (files->pty != NULL)
        ml_pty_open(files->pty, files->master);
}

void ml_child_files_undo(struct ml_child_files *files)
{
    close_theirs(files);
    for (int i = 0; i < ML_STANDARD_FILES; i++) {
        close_fd(&files->files[i].peer);
        if (files->files[i].given != NULL)
            set_waiting(files->files[i].fd, false);
    }
    close_fd(&files->master);
}
