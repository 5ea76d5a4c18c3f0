/*
 * Exchanges a directory and a link, again and again, as an attacker would.
 *
 *     link_swapper DIRECTORY TARGET COUNT_FILE
 *
 * Whenever DIRECTORY is there, a link to TARGET takes its place for a moment. COUNT_FILE gets a
 * byte for each time. Ends when the standard input does.
 */
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

int main(int count, char **arguments)
{
    char link[PATH_MAX];
    struct pollfd end = {.fd = STDIN_FILENO, .events = POLLIN};
    if (count != 4)
        return 2;
    const char *directory = arguments[1];
    snprintf(link, sizeof link, "%s.link", directory);
    int told = open(arguments[3], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    while (poll(&end, 1, 0) == 0) {
        struct stat status;
        if (lstat(link, &status) != 0 && symlink(arguments[2], link) != 0)
            continue;
        bool is_back = lstat(link, &status) == 0 && S_ISDIR(status.st_mode);
        if (is_back && rename(link, directory) != 0) /* it was removed, or made anew, meanwhile */
            renameat2(AT_FDCWD, link, AT_FDCWD, directory, RENAME_EXCHANGE);
        else if (lstat(directory, &status) == 0 && S_ISDIR(status.st_mode) &&
                 renameat2(AT_FDCWD, link, AT_FDCWD, directory, RENAME_EXCHANGE) == 0 &&
                 write(told, ".", 1) != 1)
            return 1;
    }
    return 0;
}
