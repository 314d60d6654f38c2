/* Files: whole-file reads with a limit, atomic writes, read-only maps, paths and the user's folders.
 *
 *     char *bytes; size_t n;
 *     HN_TRY(hn_file_read("hone.yaml", 1 << 20, &bytes, &n, &err));   // NUL-terminated; free with hn_free
 *     HN_TRY(hn_file_write_atomic("out.csv", text, n, &err));          // a temporary file, fsync, rename
 *
 * A write that fails (disk full, Ctrl-C) leaves the old file whole. Threading: safe on different files. */
#ifndef HN_BASE_FILE_H
#define HN_BASE_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

enum { HN_PATH_MAX = 4096 };

/* Reads at most `max_bytes` (more is HN_ERR_LIMIT); "-" reads standard input. */
hn_status hn_file_read(const char *path, size_t max_bytes, char **bytes, size_t *n, hn_error *err) HN_MUST_CHECK;
/* A whole file or none: under another name first, then renamed. A device or a pipe is written to as it is. */
hn_status hn_file_write_atomic(const char *path, const void *bytes, size_t n, hn_error *err) HN_MUST_CHECK;
bool hn_file_exists(const char *path);
/* Both are there, and are one file. */
bool hn_file_is_same(const char *path, const char *other);
bool hn_file_is_dir(const char *path);
int64_t hn_file_size(const char *path); /* bytes; -1: not a readable file */
/* The folder and all above it; fine where it exists. */
hn_status hn_dir_create(const char *path, hn_error *err) HN_MUST_CHECK;

/* dir + "/" + name into `out`; HN_ERR_LIMIT past HN_PATH_MAX. An absolute `name` stands alone. */
hn_status hn_path_join(char out[HN_PATH_MAX], const char *dir, const char *name, hn_error *err) HN_MUST_CHECK;
const char *hn_path_base(const char *path);                /* after the last slash */
void hn_path_dir(const char *path, char out[HN_PATH_MAX]); /* before it; "." where there is none */

/* Where downloaded models live: $HONE_MODELS, else $XDG_CACHE_HOME/hone/models, else ~/.cache/hone/models. */
hn_status hn_path_models(char out[HN_PATH_MAX], hn_error *err) HN_MUST_CHECK;

typedef struct hn_map {
    const unsigned char *data; /* read-only; NULL for an empty file */
    size_t size_bytes;
} hn_map;

hn_status hn_map_open(const char *path, hn_map *map, hn_error *err) HN_MUST_CHECK;
void hn_map_close(hn_map *map);

#endif
