/* Ends its process at the N-th system call that changes a file, as a power cut would; or lets that call fail.
 *
 * Preloaded into a program. KILL_UNDER names a folder: only calls that touch files in it count. KILL_AT is the
 * call at which to die, from 1; 0 never. A write dies with half of its bytes written. With KILL_ERRNO set the call
 * fails with that error and the program goes on. KILL_COUNT names a file that receives one line a call, so that a
 * first run tells how many there are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int calls;

static int under(const char *path) {
    const char *folder = getenv("KILL_UNDER");
    return folder != NULL && path != NULL && strncmp(path, folder, strlen(folder)) == 0;
}

static int under_fd(int fd) {
    char link[64], path[PATH_MAX];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return under(path);
}

static void record(const char *call, const char *what) {
    const char *file = getenv("KILL_COUNT");
    if (file == NULL) return;
    int (*real_open)(const char *, int, ...) = dlsym(RTLD_NEXT, "open");
    int fd = real_open(file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (fd < 0) return;
    dprintf(fd, "%s %s\n", call, what);
    close(fd);
}

/* Whether this is the call to die at. */
static int now(const char *call, const char *what) {
    const char *at = getenv("KILL_AT");
    record(call, what);
    return ++calls == (at ? atoi(at) : 0);
}

static int end(void) {
    const char *failure = getenv("KILL_ERRNO");
    if (failure != NULL) {
        errno = atoi(failure);
        return -1;
    }
    kill(getpid(), SIGKILL);
    for (;;) pause();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static int changes(int flags) { return flags & (O_CREAT | O_TRUNC | O_WRONLY | O_RDWR); }

int open(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (changes(flags) && under(path) && now("open", path)) return end();
    return REAL(open)(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = va_arg(arguments, mode_t);
    va_end(arguments);
    if (changes(flags) && under(path) && now("open", path)) return end();
    return REAL(open64)(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t size) {
    if (under_fd(fd) && now("write", "")) {
        REAL(write)(fd, data, size / 2);
        return end();
    }
    return REAL(write)(fd, data, size);
}

int rename(const char *from, const char *to) {
    if (under(to) && now("rename", to)) return end();
    return REAL(rename)(from, to);
}

int renameat(int a, const char *from, int b, const char *to) {
    if (under(to) && now("rename", to)) return end();
    return REAL(renameat)(a, from, b, to);
}

int unlink(const char *path) {
    if (under(path) && now("unlink", path)) return end();
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    if (under(path) && now("mkdir", path)) return end();
    return REAL(mkdir)(path, mode);
}

int fsync(int fd) {
    if (under_fd(fd) && now("fsync", "")) return end();
    return REAL(fsync)(fd);
}

int fchmod(int fd, mode_t mode) {
    if (under_fd(fd) && now("fchmod", "")) return end();
    return REAL(fchmod)(fd, mode);
}

int fchown(int fd, uid_t owner, gid_t group) {
    if (under_fd(fd) && now("fchown", "")) return end();
    return REAL(fchown)(fd, owner, group);
}
