/* Files in the making; see part_file.h. A lock tells a part that grows from one that a kill has left: the lock goes with its process.
 * Surprise: between creating a part and locking it, another program may take it for a dead one and remove it; so a part that has no name any more once
 * the lock is there is made again. */
#include "base/part_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { TRIES_MAX = 1000 };

/* BASE.<digits and ->.part */
static bool is_part_of(const char *name, const char *base) {
    size_t n = strlen(base), length = strlen(name);
    if (length < n + 7 || strncmp(name, base, n) != 0 || name[n] != '.' || strcmp(name + length - 5, ".part") != 0)
        return false;
    for (size_t i = n + 1; i < length - 5; i++)
        if (name[i] != '-' && (name[i] < '0' || name[i] > '9')) return false;
    return true;
}

static void remove_if_dead(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) return;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) unlink(path);
    close(fd);
}

static void remove_dead_parts(const char *name) {
    char folder[HN_PATH_MAX], path[HN_PATH_MAX];
    hn_path_dir(name, folder);
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *entry = readdir(dir); entry; entry = readdir(dir))
        if (is_part_of(entry->d_name, hn_path_base(name)) && hn_path_join(path, folder, entry->d_name, NULL) == HN_OK)
            remove_if_dead(path);
    closedir(dir);
}

/* Created and locked; false where the name is taken or the part was removed under us. */
static bool take_name(hn_part_file *p, int *failed) {
    struct stat info;
    *failed = 0;
    p->fd = open(p->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (p->fd < 0) {
        if (errno != EEXIST) *failed = errno;
        return false;
    }
    while (flock(p->fd, LOCK_EX) != 0 && errno == EINTR) {
    }
    if (fstat(p->fd, &info) == 0 && info.st_nlink > 0) return true;
    close(p->fd);
    p->fd = -1;
    return false;
}

hn_status hn_part_create(const char *name, hn_part_file *p, hn_error *err) {
    int failed = EEXIST;
    *p = (hn_part_file){.fd = -1};
    if (snprintf(p->name, sizeof p->name, "%s", name) >= (int)sizeof p->name)
        return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    remove_dead_parts(name);
    for (int i = 1; i <= TRIES_MAX; i++) {
        if (snprintf(p->path, sizeof p->path, "%s.%ld-%d.part", name, (long)getpid(), i) >= (int)sizeof p->path)
            return hn_fail(err, HN_ERR_LIMIT, NULL, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
        if (take_name(p, &failed)) return HN_OK;
        if (failed) break;
    }
    return hn_fail_errno(err, failed ? failed : EEXIST, p->path, "creating");
}

/* So that the new name outlives a power cut; where folders cannot be synchronised, nothing is lost by trying. */
static void sync_folder(const char *path) {
    char folder[HN_PATH_MAX];
    hn_path_dir(path, folder);
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return;
    (void)fsync(fd);
    close(fd);
}

hn_status hn_part_finish(hn_part_file *p, hn_error *err) {
    int failed = fsync(p->fd) == 0 || errno == EINVAL ? 0 : errno;
    if (!failed && rename(p->path, p->name) != 0)
        failed = errno; /* while it is locked: nobody takes it for a dead one */
    if (close(p->fd) != 0 && !failed) failed = errno;
    p->fd = -1;
    if (failed) {
        unlink(p->path);
        return hn_fail_errno(err, failed, p->name, "writing");
    }
    sync_folder(p->name);
    return HN_OK;
}

void hn_part_drop(hn_part_file *p) {
    if (p->fd < 0) return;
    unlink(p->path);
    close(p->fd);
    p->fd = -1;
}
