/* Files; see file.h. */
#include "base/file.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static hn_status read_all(int fd, const char *path, size_t max_bytes, char **bytes, size_t *n, hn_error *err) {
    size_t capacity = 0, len = 0;
    char *data = NULL;
    struct stat info;
    size_t guess = fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? (size_t)info.st_size + 1 : 65536;
    if (guess > max_bytes) guess = max_bytes + 1;
    for (;;) {
        if (!hn_grow((void **)&data, &capacity, len + (len ? 65536 : guess) + 1, 1)) {
            hn_free(data);
            return hn_fail_memory(err, capacity * 2);
        }
        ssize_t got = read(fd, data + len, capacity - len - 1);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            int failed = errno;
            hn_free(data);
            return hn_fail_errno(err, failed, path, "reading");
        }
        if (got == 0) break;
        len += (size_t)got;
        if (len > max_bytes) {
            hn_free(data);
            return hn_fail(err, HN_ERR_LIMIT, path, NULL, "the file is larger than the limit of %zu bytes", max_bytes);
        }
    }
    data[len] = 0;
    *bytes = data;
    *n = len;
    return HN_OK;
}

hn_status hn_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n, hn_error *err) {
    *bytes = NULL;
    *n = 0;
    if (strcmp(path, "-") == 0) return read_all(STDIN_FILENO, "standard input", max_bytes, bytes, n, err);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hn_fail_errno(err, errno, path, "opening");
    hn_status st = read_all(fd, path, max_bytes, bytes, n, err);
    close(fd);
    return st;
}

static int write_all(int fd, const char *bytes, size_t n) {
    while (n) {
        ssize_t put = write(fd, bytes, n);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return errno;
        bytes += put;
        n -= (size_t)put;
    }
    return fsync(fd) == 0 || errno == EINVAL ? 0 : errno;
}

/* A device or a pipe has no content to replace: renaming over it would take it away from the machine. */
static hn_status write_special(const char *path, const void *bytes, size_t n, hn_error *err) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return hn_fail_errno(err, errno, path, "opening");
    int failed = write_all(fd, bytes, n);
    if (close(fd) != 0 && !failed) failed = errno;
    return failed ? hn_fail_errno(err, failed, path, "writing") : HN_OK;
}

hn_status hn_file_write_atomic(const char *path, const void *bytes, size_t n, hn_error *err) {
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode))
        return write_special(path, bytes, n, err);
    char temporary[HN_PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s.%ld.part", path, (long)getpid()) >= (int)sizeof temporary)
        return hn_fail(err, HN_ERR_LIMIT, path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return hn_fail_errno(err, errno, temporary, "creating");
    int failed = write_all(fd, bytes, n);
    if (close(fd) != 0 && !failed) failed = errno;
    if (!failed && rename(temporary, path) != 0) failed = errno;
    if (!failed) return HN_OK;
    unlink(temporary);
    return hn_fail_errno(err, failed, path, "writing");
}

bool hn_file_exists(const char *path) { return access(path, F_OK) == 0; }

bool hn_file_is_dir(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

bool hn_file_is_same(const char *path, const char *other) {
    struct stat a, b;
    return stat(path, &a) == 0 && stat(other, &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

int64_t hn_file_size(const char *path) {
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) ? (int64_t)info.st_size : -1;
}

hn_status hn_dir_create(const char *path, hn_error *err) {
    char part[HN_PATH_MAX];
    size_t n = strlen(path);
    if (n >= sizeof part)
        return hn_fail(err, HN_ERR_LIMIT, path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] != '/' && path[i] != 0) continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0755) != 0 && errno != EEXIST) return hn_fail_errno(err, errno, part, "creating the folder");
    }
    return hn_file_is_dir(path) ? HN_OK : hn_fail(err, HN_ERR_IO, path, NULL, "it is there but not a folder");
}

hn_status hn_path_join(char out[HN_PATH_MAX], const char *dir, const char *name, hn_error *err) {
    int n = name[0] == '/' ? snprintf(out, HN_PATH_MAX, "%s", name)
                           : snprintf(out, HN_PATH_MAX, "%s%s%s", dir, hn_path_base(dir)[0] ? "/" : "", name);
    if (n < HN_PATH_MAX) return HN_OK;
    return hn_fail(err, HN_ERR_LIMIT, name, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
}

const char *hn_path_base(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

void hn_path_dir(const char *path, char out[HN_PATH_MAX]) {
    const char *slash = strrchr(path, '/');
    if (!slash)
        snprintf(out, HN_PATH_MAX, ".");
    else
        snprintf(out, HN_PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
}

hn_status hn_path_models(char out[HN_PATH_MAX], hn_error *err) {
    const char *models = getenv("HONE_MODELS"), *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (models && *models) return hn_path_join(out, models, "", err);
    if (cache && *cache == '/') return hn_path_join(out, cache, "hone/models", err);
    if (home && *home) return hn_path_join(out, home, ".cache/hone/models", err);
    return hn_fail(err, HN_ERR_USAGE, "HOME", "set HONE_MODELS to a folder",
                   "there is no place for models: HOME is not set");
}

hn_status hn_map_open(const char *path, hn_map *map, hn_error *err) {
    *map = (hn_map){0};
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return hn_fail_errno(err, errno, path, "opening");
    struct stat info;
    hn_status st = HN_OK;
    if (fstat(fd, &info) != 0)
        st = hn_fail_errno(err, errno, path, "reading");
    else if (!S_ISREG(info.st_mode))
        st = hn_fail(err, HN_ERR_INPUT, path, "give a file", "it is not a regular file");
    else if (info.st_size > 0) {
        void *data = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        if (data == MAP_FAILED)
            st = hn_fail_errno(err, errno, path, "mapping");
        else
            *map = (hn_map){data, (size_t)info.st_size};
    }
    close(fd);
    return st;
}

void hn_map_close(hn_map *map) {
    if (map->data) munmap((void *)(uintptr_t)map->data, map->size_bytes);
    *map = (hn_map){0};
}
