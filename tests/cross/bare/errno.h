/* What a program without a C library needs of it: see tests/cross/bare/slots_32.c. */
enum { ENOMEM = 12 };
