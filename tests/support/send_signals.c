/*
 * Sends signals to a process: send_signals PID NUMBER COUNT [VALUE] sends NUMBER so many times,
 * with VALUE, VALUE + 1, ... (sigqueue), or without values (kill). Waits while the kernel's queue
 * is full.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>

static int send_value(pid_t pid, int number, int value)
{
    int result;
    do {
        result = sigqueue(pid, number, (union sigval){.sival_int = value});
    } while (result != 0 && errno == EAGAIN && sched_yield() == 0);
    return result;
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    pid_t pid = atoi(argv[1]);
    int number = atoi(argv[2]), count = atoi(argv[3]), result = 0;
    for (int i = 0; i < count && result == 0; i++)
        result = argc > 4 ? send_value(pid, number, atoi(argv[4]) + i) : kill(pid, number);
    return result == 0 ? 0 : 1;
}
