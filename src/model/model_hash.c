/* Remembered file hashes; see model_hash.h. Surprise: a file changed within the clock's last tick could keep its
 * times, so a hash is remembered only where the file's last change is at least two seconds old. */
#include "model/model_hash.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { STAMP_MAX = 160, NOTE_MAX = 512 };

static bool stamp(const struct stat *s, char out[STAMP_MAX]) {
    snprintf(out, STAMP_MAX, "%lld %llu %llu %lld.%09ld %lld.%09ld", (long long)s->st_size,
             (unsigned long long)s->st_dev, (unsigned long long)s->st_ino, (long long)s->st_mtim.tv_sec,
             s->st_mtim.tv_nsec, (long long)s->st_ctim.tv_sec, s->st_ctim.tv_nsec);
    return s->st_ctim.tv_sec + 2 <= hn_clock_unix_ms() / 1000;
}

/* Where the note of a file stands; false where there is no such place. */
static bool note_path(const char *path, char note[HN_PATH_MAX]) {
    char models[HN_PATH_MAX], folder[HN_PATH_MAX], name[32], whole[PATH_MAX];
    if (!realpath(path, whole)) return false;
    if (hn_path_models(models, NULL) != HN_OK || hn_path_join(folder, models, ".hashes", NULL) != HN_OK) return false;
    snprintf(name, sizeof name, "%016llx", (unsigned long long)hn_hash64(whole, strlen(whole), 0));
    return hn_path_join(note, folder, name, NULL) == HN_OK;
}

static bool is_hex(const char *text) {
    for (int i = 0; i < 64; i++)
        if (!((text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f'))) return false;
    return true;
}

static bool recall(const char *note, const char *stamped, char hex[HN_SHA256_HEX]) {
    char *text = NULL;
    size_t n = 0;
    if (!hn_file_exists(note) || hn_file_read(note, NOTE_MAX, &text, &n, NULL) != HN_OK) return false;
    bool same = n >= 66 && text[64] == ' ' && is_hex(text) && strcmp(text + 65, stamped) == 0;
    if (same) memcpy(hex, text, 64), hex[64] = 0;
    hn_free(text);
    return same;
}

static void remember(const char *note, const char *stamped, const char hex[HN_SHA256_HEX]) {
    char text[NOTE_MAX], folder[HN_PATH_MAX];
    hn_path_dir(note, folder);
    int n = snprintf(text, sizeof text, "%s %s", hex, stamped);
    hn_error ignored; /* a cache: without it everything still works */
    if (hn_dir_create(folder, &ignored) == HN_OK && hn_file_write_atomic(note, text, (size_t)n, &ignored) != HN_OK)
        return;
}

hn_status hn_model_hash_file(const char *path, char hex[HN_SHA256_HEX], hn_error *err) {
    struct stat before, after;
    char stamped[STAMP_MAX], again[STAMP_MAX], note[HN_PATH_MAX];
    if (stat(path, &before) != 0) return hn_fail_errno(err, errno, path, "reading");
    bool settled = stamp(&before, stamped), has_place = note_path(path, note);
    if (settled && has_place && recall(note, stamped, hex)) return HN_OK;
    HN_TRY(hn_sha256_file(path, hex, err));
    if (stat(path, &after) != 0) return hn_fail_errno(err, errno, path, "reading");
    stamp(&after, again);
    if (settled && has_place && strcmp(stamped, again) == 0) remember(note, stamped, hex);
    return HN_OK;
}
