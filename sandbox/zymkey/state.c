#define _GNU_SOURCE /* program_invocation_short_name */

#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/pem.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *state_directory(void) {
    const char *directory = getenv("ZYMKEY_SIMULATOR_DIR");
    return directory != NULL && *directory != '\0' ? directory : ZYMKEY_STATE_DIRECTORY;
}

static int state_path(const char *name, char path[PATH_MAX]) {
    int length = snprintf(path, PATH_MAX, "%s/%s", state_directory(), name);
    return length < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* A fault's number, as text: from the environment, else from the file, else "". */
static int read_setting(const char *variable, const char *file, char text[32]) {
    const char *value = getenv(variable);
    char path[PATH_MAX];
    int error = state_path(file, path);

    text[0] = '\0';
    if (error != 0)
        return error;
    if (value != NULL) {
        snprintf(text, 32, "%s", value);
        return 0;
    }
    FILE *stream = fopen(path, "re");
    if (stream == NULL)
        return errno == ENOENT ? 0 : -errno;
    if (fgets(text, 32, stream) == NULL)
        text[0] = '\0';
    fclose(stream);
    text[strcspn(text, "\r\n")] = '\0';
    return 0;
}

/* The number that a setting holds, 0 when there is none. One that is not a number between lowest
 * and highest is an error: a fault that somebody asked for must never quietly not happen. */
static int read_number(const char *variable, const char *file, long lowest, long highest,
                       long *number) {
    char text[32], *end;
    int error = read_setting(variable, file, text);

    *number = 0;
    if (error != 0 || text[0] == '\0')
        return error;
    *number = strtol(text, &end, 10);
    return *end == '\0' && *number >= lowest && *number <= highest ? 0 : -EBADMSG;
}

static bool is_absent(void) {
    const char *value = getenv("ZYMKEY_SIMULATOR_ABSENT");
    char path[PATH_MAX];

    if (value != NULL)
        return strcmp(value, "") != 0 && strcmp(value, "0") != 0;
    return state_path("absent", path) == 0 && access(path, F_OK) == 0;
}

int state_open(void) {
    if (is_absent())
        return -ENODEV;
    if (mkdir(state_directory(), 0700) != 0 && errno != EEXIST)
        return -errno;
    return access(state_directory(), R_OK | W_OK | X_OK) == 0 ? 0 : -errno;
}

int state_fault(void) {
    long delay, code;
    int error = read_number("ZYMKEY_SIMULATOR_DELAY_MS", "delay_ms", 0, 3600 * 1000L, &delay);

    if (error == 0)
        error = read_number("ZYMKEY_SIMULATOR_FAIL", "fail", -4095, -1, &code);
    if (error != 0)
        return error;
    struct timespec left = {.tv_sec = delay / 1000, .tv_nsec = delay % 1000 * 1000000L};
    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        continue;
    return is_absent() ? -ENODEV : (int)code;
}

/* Write a new key in full, then give it its name. link() does not replace: of two processes that
 * come first at once, one names its key, and both go on with that one. */
static int create_key(const char *path) {
    char temporary[PATH_MAX];
    int error = state_path(".new-key-XXXXXX", temporary);
    if (error != 0)
        return error;
    int file = mkostemp(temporary, O_CLOEXEC); /* 0600 */
    if (file < 0)
        return -errno;

    FILE *stream = fdopen(file, "w");
    EVP_PKEY *key = EVP_EC_gen("P-256");
    if (stream == NULL || key == NULL ||
        !PEM_write_PrivateKey(stream, key, NULL, NULL, 0, NULL, NULL))
        error = -EIO;
    EVP_PKEY_free(key);
    if (stream == NULL)
        close(file);
    else if (fclose(stream) != 0 && error == 0)
        error = -errno;
    if (error == 0 && link(temporary, path) != 0 && errno != EEXIST)
        error = -errno;
    unlink(temporary);
    return error;
}

int state_key(int slot, EVP_PKEY **key) {
    char name[32], path[PATH_MAX];
    snprintf(name, sizeof name, "slot-%d.pem", slot);
    int error = state_path(name, path);
    if (error != 0)
        return error;

    FILE *stream = fopen(path, "re");
    if (stream == NULL && errno == ENOENT) {
        error = create_key(path);
        if (error != 0)
            return error;
        stream = fopen(path, "re");
    }
    if (stream == NULL)
        return -errno;
    *key = PEM_read_PrivateKey(stream, NULL, NULL, NULL);
    fclose(stream);
    return *key != NULL ? 0 : -EIO;
}

int state_record_signature(int slot) {
    char path[PATH_MAX], line[128];
    int error = state_path("signatures", path);
    if (error != 0)
        return error;
    int length = snprintf(line, sizeof line, "%d %ld %.64s\n", slot, (long)getpid(),
                          program_invocation_short_name);

    /* One write to a file opened for appending: lines of several processes never mix. */
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (file < 0)
        return -errno;
    if (write(file, line, (size_t)length) != length)
        error = -EIO;
    if (close(file) != 0 && error == 0)
        error = -errno;
    return error;
}
