// Moves the wall clock of each program that is started with it, and of what that starts:
//   WALL_CLOCK_OFFSET=86400 LD_PRELOAD=/path/to/wall_clock.so date    is a day ahead
// Everything else stays: the monotonic clock, sleeps and timers. Debian's faketime (0.9.10) changes
// more than the date: PostgreSQL's statement timeouts never fire under it, and Python's `time.sleep`
// fails with EINVAL while the monotonic clock is left alone.

#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static int (*read_clock)(clockid_t, struct timespec *);
static time_t offset;

__attribute__((constructor)) static void start(void) {
    const char *seconds = getenv("WALL_CLOCK_OFFSET");
    offset = seconds ? atoll(seconds) : 0;
    read_clock = dlsym(RTLD_NEXT, "clock_gettime");
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    if (!read_clock) start();  // called by the constructor of another library
    int failed = read_clock(clock, now);
    if (!failed && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    (void)zone;
    struct timespec exact;
    int failed = clock_gettime(CLOCK_REALTIME, &exact);
    if (!failed) *now = (struct timeval){exact.tv_sec, exact.tv_nsec / 1000};
    return failed;
}

time_t time(time_t *result) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (result) *result = now.tv_sec;
    return now.tv_sec;
}
