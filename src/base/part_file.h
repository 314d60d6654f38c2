/* A file in the making: it grows under another name beside its own, PATH.<process>-<number>.part, and is renamed when it is whole.
 *
 *     hn_part_file p;
 *     HN_TRY(hn_part_create("model.gguf", &p, &err));       // p.fd, p.path
 *     ... write(p.fd, ...) ...
 *     HN_TRY(hn_part_finish(&p, &err));                     // on the disk, and under its name
 *     hn_part_drop(&p);                                     // instead: nothing is left; fine after finish as well
 *
 * Each part has a name and a lock of its own, so that two programs (or two writers in one) that make the same file do not mix: the later one to finish
 * wins, whole. Parts of PATH that nobody holds any more, left by a kill, are removed by the next hn_part_create of that PATH; where the file system has
 * no locks they stay. Ownership: the caller's struct. Threading: a part belongs to one thread; safe with others. */
#ifndef HN_BASE_PART_FILE_H
#define HN_BASE_PART_FILE_H

#include "base/file.h"

typedef struct hn_part_file {
    int fd; /* -1: none */
    char name[HN_PATH_MAX], path[HN_PATH_MAX];
} hn_part_file;

/* HN_ERR_LIMIT: the path is too long; what creating a file can fail with. On failure p->fd is -1. */
hn_status hn_part_create(const char *name, hn_part_file *p, hn_error *err) HN_MUST_CHECK;
/* Forces it to the disk and renames it; on failure nothing is left of it, and what was under its name stays. */
hn_status hn_part_finish(hn_part_file *p, hn_error *err) HN_MUST_CHECK;
void hn_part_drop(hn_part_file *p);

#endif
