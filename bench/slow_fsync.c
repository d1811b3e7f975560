/* Makes a disk slower: each fsync and fdatasync of the program that it is loaded into takes
   SLOW_FSYNC_MS milliseconds more, after the real one. For LD_PRELOAD. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <time.h>

static int then_wait(const char *name, int descriptor)
{
    int (*real)(int) = (int (*)(int)) dlsym(RTLD_NEXT, name);
    int result = real(descriptor);
    int error = errno;
    const char *text = getenv("SLOW_FSYNC_MS");
    long nanoseconds = text ? (long) (atof(text) * 1e6) : 0;
    struct timespec wait = {nanoseconds / 1000000000, nanoseconds % 1000000000};

    nanosleep(&wait, NULL);
    errno = error;
    return result;
}

int fsync(int descriptor)
{
    return then_wait("fsync", descriptor);
}

int fdatasync(int descriptor)
{
    return then_wait("fdatasync", descriptor);
}
