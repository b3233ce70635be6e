/* Preloaded into a program: the clock says WRONG_CLOCK, in seconds since 1970, and stands still. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t wrong(void) {
    const char *clock = getenv("WRONG_CLOCK");
    return clock ? (time_t)atoll(clock) : 0;
}

time_t time(time_t *result) {
    if (result != NULL) *result = wrong();
    return wrong();
}

int clock_gettime(clockid_t clock, struct timespec *result) {
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    if (clock != CLOCK_REALTIME) return real(clock, result);
    result->tv_sec = wrong();
    result->tv_nsec = 0;
    return 0;
}

int gettimeofday(struct timeval *restrict result, void *restrict zone) {
    (void)zone;
    result->tv_sec = wrong();
    result->tv_usec = 0;
    return 0;
}
