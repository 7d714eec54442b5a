/* A disk that fills up: preloaded, it answers write and statvfs for files of one folder as a file system does
 * that has no room. Orders come from the file FAKE_DISK: the folder, then the bytes that a file of it may have; without
 * the file there is room. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int full;

/* Whether there are orders. */
static int orders(char *folder, size_t size, long long *limit)
{
    const char *path = getenv("FAKE_DISK");
    FILE *file = path ? fopen(path, "r") : NULL;
    int found = 0;
    if (file) {
        found = fgets(folder, (int)size, file) && fscanf(file, "%lld", limit) == 1;
        folder[strcspn(folder, "\n")] = 0;
        fclose(file);
    }
    if (!found)
        full = 0;
    return found;
}

/* Bytes that may still be written to fd; -1: it lies elsewhere. */
static long long room(int fd)
{
    char folder[4096], link[64], path[4096];
    long long limit;
    struct stat status;
    ssize_t length;
    if (!orders(folder, sizeof folder, &limit))
        return -1;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0 || fstat(fd, &status) || !S_ISREG(status.st_mode))
        return -1;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)))
        return -1;
    return status.st_size < limit ? limit - status.st_size : 0;
}

ssize_t write(int fd, const void *bytes, size_t count)
{
    static ssize_t (*real)(int, const void *, size_t);
    long long left = fd > 2 ? room(fd) : -1;
    if (!real)
        real = (ssize_t (*)(int, const void *, size_t))dlsym(RTLD_NEXT, "write");
    if (left == 0 && count) {
        full = 1;
        errno = ENOSPC;
        return -1;
    }
    return real(fd, bytes, left > 0 && (long long)count > left ? (size_t)left : count);
}

static int answer(int (*real)(const char *, struct statvfs *), const char *path, struct statvfs *out)
{
    char folder[4096];
    long long limit;
    int status = real(path, out);
    if (!status && orders(folder, sizeof folder, &limit) && !strncmp(path, folder, strlen(folder)) && full)
        out->f_bavail = out->f_bfree = 0;
    return status;
}

int statvfs(const char *path, struct statvfs *out)
{
    return answer((int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs"), path, out);
}

int statvfs64(const char *path, struct statvfs64 *out)
{
    /* on 64-bit machines both have the same layout */
    return answer((int (*)(const char *, struct statvfs *))dlsym(RTLD_NEXT, "statvfs64"), path, (struct statvfs *)out);
}
