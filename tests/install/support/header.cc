// moonlet.h in C++, and the library called from it.
#include "moonlet.h"

#include <cstdio>
#include <string>

int main()
{
    moonlet_options options{};
    options.name = "header";
    moonlet *m = moonlet_create(&options);
    const std::string source = "print(_VERSION)";
    if (m == nullptr || moonlet_load_string(m, source.c_str(), "=header") != 0)
        return 1;
    int status = moonlet_run(m);
    moonlet_close(m);
    return status;
}
