/* Objects: .hone/objects/ab/cdef... holds the zstd-compressed bytes whose SHA-256 is abcdef.... A file appears under its name only when
 * whole and flushed (hn_file_write_atomic), so a kill leaves at worst a stray ".part" file. What is read is checked against its name. */
#include "base/file.h"
#include "base/hash.h"
#include "store/store_internal.h"

#include <stdio.h>
#include <string.h>
#include <zstd.h>

#define OBJECT_MAX ((size_t)1 << 30)

static hn_status check_name(const char *hash, hn_error *err) {
    if (strlen(hash) == 64 && strspn(hash, "0123456789abcdef") == 64) return HN_OK;
    return hn_fail(err, HN_ERR_INPUT, "object", NULL, "\"%.80s\" is not the name of an object", hash);
}

static hn_status object_path(const hn_store *store, const char *hash, char dir[HN_PATH_MAX], char path[HN_PATH_MAX],
                             hn_error *err) {
    char folder[3] = {hash[0], hash[1], 0};
    HN_TRY(hn_path_join(dir, store->objects, folder, err));
    return hn_path_join(path, dir, hash + 2, err);
}

hn_status hn_object_put(hn_store *store, const void *bytes, size_t n, char hash[65], hn_error *err) {
    char dir[HN_PATH_MAX], path[HN_PATH_MAX];
    if (n > OBJECT_MAX)
        return hn_fail(err, HN_ERR_LIMIT, "object", NULL, "%zu bytes are more than the limit of %zu", n, OBJECT_MAX);
    if (hn_sha256_bytes(bytes, n, hash) != HN_OK) return hn_fail_memory(err, n);
    HN_TRY(object_path(store, hash, dir, path, err));
    if (hn_file_exists(path)) return HN_OK;
    HN_TRY(hn_dir_create(dir, err));
    size_t room = ZSTD_compressBound(n);
    char *packed = hn_alloc(room);
    if (!packed) return hn_fail_memory(err, room);
    size_t size = ZSTD_compress(packed, room, bytes, n, 9);
    hn_status st = ZSTD_isError(size)
                       ? hn_fail(err, HN_ERR_MEMORY, path, NULL, "compressing: %s", ZSTD_getErrorName(size))
                       : hn_file_write_atomic(path, packed, size, err);
    hn_free(packed);
    return st;
}

/* The file's claim about its size is checked against the limit before any memory is taken. */
static hn_status unpack(const char *path, const char *packed, size_t size, char **bytes, size_t *n, hn_error *err) {
    static const char remedy[] = "restore the file from a copy, or run again what made it";
    unsigned long long claimed = ZSTD_getFrameContentSize(packed, size);
    if (claimed == ZSTD_CONTENTSIZE_ERROR || claimed == ZSTD_CONTENTSIZE_UNKNOWN || claimed > OBJECT_MAX)
        return hn_fail(err, HN_ERR_HASH, path, remedy,
                       "the object is damaged: it does not begin as zstd data of a known size");
    char *out = hn_alloc((size_t)claimed + 1);
    if (!out) return hn_fail_memory(err, (size_t)claimed + 1);
    size_t got = ZSTD_decompress(out, (size_t)claimed, packed, size);
    if (ZSTD_isError(got) || got != claimed) {
        hn_free(out);
        return hn_fail(err, HN_ERR_HASH, path, remedy, "the object is damaged: %s",
                       ZSTD_isError(got) ? ZSTD_getErrorName(got) : "it is cut short");
    }
    out[got] = 0;
    *bytes = out;
    *n = got;
    return HN_OK;
}

hn_status hn_object_get(hn_store *store, const char *hash, char **bytes, size_t *n, hn_error *err) {
    char dir[HN_PATH_MAX], path[HN_PATH_MAX], found[HN_SHA256_HEX];
    char *packed;
    size_t size;
    *bytes = NULL;
    *n = 0;
    HN_TRY(check_name(hash, err));
    HN_TRY(object_path(store, hash, dir, path, err));
    HN_TRY(hn_file_read(path, OBJECT_MAX, &packed, &size, err));
    hn_status st = unpack(path, packed, size, bytes, n, err);
    hn_free(packed);
    if (st != HN_OK) return st;
    st = hn_sha256_bytes(*bytes, *n, found);
    if (st != HN_OK)
        st = hn_fail_memory(err, *n);
    else if (strcmp(found, hash) != 0)
        st = hn_fail(err, HN_ERR_HASH, path, "restore the file from a copy, or run again what made it",
                     "the object is damaged: its bytes hash to %.12s...", found);
    if (st != HN_OK) {
        hn_free(*bytes);
        *bytes = NULL;
        *n = 0;
    }
    return st;
}
