/*
 * A host in C++. An exception may be thrown and caught inside a task, and a task may wait inside a
 * catch block while others throw: each keeps its own. It must not leave the task's function.
 */
#include "moonlet.h"

#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>

namespace
{

struct Guard {
    const char *name;
    explicit Guard(const char *n) : name(n)
    {
    }
    Guard(const Guard &) = delete;
    Guard &operator=(const Guard &) = delete;
    ~Guard()
    {
        std::printf("%s: guard\n", name);
    }
};

void fail(moonlet *m, const char *name)
{
    Guard guard(name);
    moonlet_yield(m);
    throw std::runtime_error(std::string("thrown by ") + name);
}

/* Waits in its catch block, where the others' exceptions are caught meanwhile; then throws its own
 * again. */
int work(moonlet *m, void *argument)
{
    const char *name = static_cast<const char *>(argument);
    try {
        try {
            fail(m, name);
        } catch (const std::exception &) {
            for (int i = 0; i < 3; i++)
                moonlet_sleep(m, 0.001);
            throw;
        }
    } catch (const std::exception &error) {
        std::printf("%s: %s\n", name, error.what());
        return 0;
    }
    return 1;
}

} // namespace

int main()
{
    moonlet *m = moonlet_create(nullptr);
    if (m == nullptr)
        return 1;
    static char names[3][2] = {"a", "b", "c"};
    for (char *name : names)
        moonlet_spawn(m, name, work, name, nullptr);
    int status = moonlet_run(m);
    moonlet_close(m);
    return status;
}
