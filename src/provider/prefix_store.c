/* Computed beginnings of prompts on disk; see prefix_store.h. A file:
 *
 *     magic (8) | version u32 | n_tokens u32 | block_bytes u64 | identity (64 digits)
 *     tokens i32 (n_tokens, and zeros up to n_blocks * HN_KV_BLOCK) | XXH3 of each block u64 (n_blocks) | XXH3 of all that u64 |
 *     blocks
 *
 * in the machine's byte order (the numeric path in the identity is that of one machine type). The name begins with the
 * identity, so that only headers of this model's files are read when the store is opened. Surprise: file times are moved when a file
 * is read, since the time of last use decides which file goes first; nothing waits for the disk (no fsync), as a file that is not
 * whole is found out by its checksums. */
#include "provider/prefix_store.h"

#include "base/alloc.h"
#include "base/file.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    FILES_MAX = 256, /* of one identity that are listed */
    SCAN_MAX = 65536,
    TOKENS_MAX = 1 << 21,
    IDENTITY = 64,
    NAME_IDENTITY = 16, /* digits of it in a file's name */
    PART_SECONDS = 3600 /* what an interrupted writer left behind is taken away after that */
};
static const char magic[8] = "hnprefix", ending[] = ".kv", part_ending[] = ".part";

typedef struct file_start {
    char magic[8];
    uint32_t version, n_tokens;
    uint64_t block_bytes;
    char identity[IDENTITY];
} file_start;

typedef struct kept_file {
    char name[96];
    size_t n_tokens, n_blocks;
    int32_t *tokens;  /* (n_blocks, HN_KV_BLOCK), then hashes in the same memory */
    uint64_t *hashes; /* (n_blocks) */
} kept_file;

struct hn_prefix_store {
    hn_engine *engine;
    char folder[HN_PATH_MAX], identity[IDENTITY + 1];
    size_t max_bytes, block_bytes;
    kept_file files[FILES_MAX];
    size_t n_files;
};

static size_t blocks_of(size_t n_tokens) { return (n_tokens + HN_KV_BLOCK - 1) / HN_KV_BLOCK; }

static size_t header_bytes(size_t n_blocks) {
    return sizeof(file_start) + n_blocks * (HN_KV_BLOCK * sizeof(int32_t) + sizeof(uint64_t)) + sizeof(uint64_t);
}

static bool ends_with(const char *name, const char *end) {
    size_t n = strlen(name), m = strlen(end);
    return n >= m && strcmp(name + n - m, end) == 0;
}

/* ---- reading ---- */

static bool read_all(int fd, void *to, size_t n, size_t at) {
    unsigned char *bytes = to;
    while (n > 0) {
        ssize_t got = pread(fd, bytes, n, (off_t)at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return false;
        bytes += got;
        at += (size_t)got;
        n -= (size_t)got;
    }
    return true;
}

static hn_status refuse(const char *name, const char *why, hn_error *err) {
    return hn_fail(err, HN_ERR_INPUT, name, "nothing need be done: it is computed again", "the kept prefix %s", why);
}

/* Header, tokens and hashes of an open file into `f`. */
static hn_status read_header(const hn_prefix_store *s, int fd, kept_file *f, hn_error *err) {
    struct stat info;
    file_start start;
    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return refuse(f->name, "is not a file", err);
    if (!read_all(fd, &start, sizeof start, 0)) return refuse(f->name, "is cut off", err);
    bool ours = memcmp(start.magic, magic, sizeof magic) == 0 && start.version == 1 &&
                start.block_bytes == s->block_bytes && memcmp(start.identity, s->identity, IDENTITY) == 0;
    if (!ours) return refuse(f->name, "is of another kind than its name says", err);
    size_t n = blocks_of(start.n_tokens);
    if (n < 1 || start.n_tokens > TOKENS_MAX || (size_t)info.st_size != header_bytes(n) + n * s->block_bytes)
        return refuse(f->name, "has not the size that its header names", err);
    size_t bytes = header_bytes(n);
    unsigned char *all = hn_alloc(bytes);
    if (!all) return hn_fail_memory(err, bytes);
    uint64_t sum = 0;
    bool whole = read_all(fd, all, bytes, 0);
    if (whole) memcpy(&sum, all + bytes - sizeof sum, sizeof sum);
    hn_status st = HN_OK;
    f->n_tokens = start.n_tokens;
    f->n_blocks = n;
    f->tokens = NULL;
    if (!whole || hn_hash64(all, bytes - sizeof sum, 0) != sum)
        st = refuse(f->name, "is damaged (header)", err);
    else if (!(f->tokens = hn_alloc(n * (HN_KV_BLOCK * sizeof(int32_t) + sizeof(uint64_t)))))
        st = hn_fail_memory(err, bytes);
    if (st == HN_OK) { /* the tokens' bytes are a multiple of 8, so the hashes behind them are aligned */
        memcpy(f->tokens, all + sizeof start, n * (HN_KV_BLOCK * sizeof(int32_t) + sizeof(uint64_t)));
        f->hashes = (uint64_t *)(void *)(f->tokens + n * HN_KV_BLOCK);
    }
    hn_free(all);
    return st;
}

static int open_file(const hn_prefix_store *s, const char *name) {
    char path[HN_PATH_MAX];
    if (hn_path_join(path, s->folder, name, NULL) != HN_OK) return -1;
    return open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
}

static void add_file(hn_prefix_store *s, const char *name) {
    hn_error err = {0};
    kept_file *f = &s->files[s->n_files];
    if (s->n_files == FILES_MAX || strlen(name) >= sizeof f->name) return;
    int fd = open_file(s, name);
    if (fd < 0) return; /* another process took it away */
    *f = (kept_file){0};
    snprintf(f->name, sizeof f->name, "%s", name);
    if (read_header(s, fd, f, &err) == HN_OK)
        s->n_files++;
    else
        hn_log(HN_LOG_WARN, "prefix cache", "%s/%s is ignored: %s", s->folder, name, err.message);
    close(fd);
}

static void list_files(hn_prefix_store *s) {
    DIR *dir = opendir(s->folder);
    if (!dir) return;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        if (strncmp(e->d_name, s->identity, NAME_IDENTITY) == 0 && ends_with(e->d_name, ending)) add_file(s, e->d_name);
    closedir(dir);
}

static hn_status user_folder(char out[HN_PATH_MAX], hn_error *err) {
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (cache && *cache == '/') return hn_path_join(out, cache, "hone/prefixes", err);
    if (home && *home) return hn_path_join(out, home, ".cache/hone/prefixes", err);
    return hn_fail(err, HN_ERR_USAGE, "HOME", "set XDG_CACHE_HOME, or leave the prefix cache off",
                   "there is no place for the prefix cache: HOME is not set");
}

hn_status hn_prefix_store_open(const hn_prefix_store_options *options, hn_engine *engine, hn_prefix_store **store,
                               hn_error *err) {
    *store = NULL;
    hn_prefix_store *s = hn_calloc(1, sizeof *s);
    if (!s) return hn_fail_memory(err, sizeof *s);
    s->engine = engine;
    s->max_bytes = options->max_bytes;
    s->block_bytes = hn_engine_block_bytes(engine);
    hn_status st = options->folder ? hn_path_join(s->folder, options->folder, "", err) : user_folder(s->folder, err);
    if (st == HN_OK && strlen(options->identity) != IDENTITY)
        st = hn_fail(err, HN_ERR_USAGE, "identity", NULL, "an identity has %d digits", IDENTITY);
    if (st == HN_OK) st = hn_dir_create(s->folder, err);
    if (st != HN_OK) {
        hn_free(s);
        return st;
    }
    (void)chmod(s->folder, 0700); /* where it is somebody else's folder, its files tell */
    memcpy(s->identity, options->identity, IDENTITY + 1);
    list_files(s);
    *store = s;
    return HN_OK;
}

static void drop_file(hn_prefix_store *s, size_t i) {
    hn_free(s->files[i].tokens);
    s->files[i] = s->files[--s->n_files];
}

void hn_prefix_store_close(hn_prefix_store *s) {
    if (!s) return;
    while (s->n_files) drop_file(s, s->n_files - 1);
    hn_free(s);
}

/* The file with most in common, and how many tokens these are. */
static size_t find(const hn_prefix_store *s, const int32_t *ids, size_t n, size_t *common) {
    size_t best = 0;
    *common = 0;
    for (size_t i = 0; i < s->n_files; i++) {
        const kept_file *f = &s->files[i];
        size_t most = f->n_tokens < n ? f->n_tokens : n, t = 0;
        while (t < most && f->tokens[t] == ids[t]) t++;
        if (t <= *common) continue;
        *common = t;
        best = i;
    }
    return best;
}

size_t hn_prefix_store_common(const hn_prefix_store *s, const int32_t *ids, size_t n) {
    size_t common;
    (void)find(s, ids, n, &common);
    return common;
}

typedef struct block_reader {
    const hn_prefix_store *store;
    const kept_file *file;
    int fd;
} block_reader;

static hn_status read_block(void *user, size_t i, void *bytes, hn_error *err) {
    const block_reader *r = user;
    size_t n = r->store->block_bytes;
    if (!read_all(r->fd, bytes, n, header_bytes(r->file->n_blocks) + i * n))
        return refuse(r->file->name, "is cut off", err);
    return hn_hash64(bytes, n, i) == r->file->hashes[i] ? HN_OK : refuse(r->file->name, "is damaged", err);
}

hn_status hn_prefix_store_read(hn_prefix_store *s, const int32_t *ids, size_t n, hn_sequence *sequence, hn_error *err) {
    size_t common, i = find(s, ids, n, &common);
    if (common == 0) return hn_fail(err, HN_ERR_NOT_FOUND, s->folder, NULL, "no kept prefix begins like that");
    kept_file *f = &s->files[i], now = {0};
    memcpy(now.name, f->name, sizeof now.name);
    block_reader r = {.store = s, .file = &now, .fd = open_file(s, f->name)};
    hn_status st = r.fd < 0 ? hn_fail_errno(err, errno, f->name, "opening") : read_header(s, r.fd, &now, err);
    /* Another process may have put another file under this name. */
    if (st == HN_OK && (now.n_tokens < common || memcmp(now.tokens, ids, common * sizeof *ids) != 0))
        st = refuse(f->name, "has changed", err);
    if (st == HN_OK) st = hn_sequence_restore(sequence, ids, common, read_block, &r, err);
    if (st == HN_OK) (void)futimens(r.fd, NULL);
    if (r.fd >= 0) close(r.fd);
    hn_free(now.tokens);
    if (st != HN_OK) drop_file(s, i);
    return st;
}

/* ---- writing ---- */

typedef struct old_file {
    char name[96];
    size_t bytes;
    struct timespec used;
} old_file;

static int by_use(const void *a, const void *b) {
    const old_file *x = a, *y = b;
    if (x->used.tv_sec != y->used.tv_sec) return x->used.tv_sec < y->used.tv_sec ? -1 : 1;
    if (x->used.tv_nsec != y->used.tv_nsec) return x->used.tv_nsec < y->used.tv_nsec ? -1 : 1;
    return strcmp(x->name, y->name);
}

/* All files of the folder, of whatever model; takes away what writers that were interrupted left behind. */
static hn_status scan(const hn_prefix_store *s, old_file **files, size_t *n, size_t *total, hn_error *err) {
    size_t capacity = 0;
    DIR *dir = opendir(s->folder);
    hn_status st = dir ? HN_OK : hn_fail_errno(err, errno, s->folder, "listing");
    for (struct dirent *e; st == HN_OK && *n < SCAN_MAX && (e = readdir(dir)) != NULL;) {
        struct stat info;
        bool part = ends_with(e->d_name, part_ending);
        if (!part && !ends_with(e->d_name, ending)) continue;
        if (strlen(e->d_name) >= sizeof(*files)->name) continue;
        if (fstatat(dirfd(dir), e->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode)) continue;
        if (part) {
            if (info.st_mtime + PART_SECONDS < time(NULL)) (void)unlinkat(dirfd(dir), e->d_name, 0);
            continue;
        }
        if (!hn_grow((void **)files, &capacity, *n + 1, sizeof **files)) {
            st = hn_fail_memory(err, (*n + 1) * sizeof **files);
            break;
        }
        old_file *f = &(*files)[(*n)++];
        *f = (old_file){.bytes = (size_t)info.st_size, .used = info.st_mtim};
        memcpy(f->name, e->d_name, strlen(e->d_name) + 1);
        *total += f->bytes;
    }
    if (dir) closedir(dir);
    return st;
}

/* Takes files away until `bytes` more fit. */
static hn_status make_room(hn_prefix_store *s, size_t bytes, hn_error *err) {
    old_file *files = NULL;
    size_t n = 0, total = 0;
    if (bytes > s->max_bytes)
        return hn_fail(err, HN_ERR_LIMIT, "prefix cache", "allow more with --prefix-cache MB",
                       "a prefix of %.1f MB does not fit the prefix cache of %.1f MB", (double)bytes / 1e6,
                       (double)s->max_bytes / 1e6);
    hn_status st = scan(s, &files, &n, &total, err);
    if (st == HN_OK && n) qsort(files, n, sizeof *files, by_use);
    for (size_t i = 0; st == HN_OK && i < n && total + bytes > s->max_bytes; i++) {
        char path[HN_PATH_MAX];
        st = hn_path_join(path, s->folder, files[i].name, err);
        if (st == HN_OK) (void)unlink(path);
        total -= files[i].bytes;
        for (size_t k = s->n_files; k-- > 0;)
            if (strcmp(s->files[k].name, files[i].name) == 0) drop_file(s, k);
    }
    hn_free(files);
    return st;
}

static int put(int fd, const void *from, size_t n) {
    const unsigned char *bytes = from;
    while (n > 0) {
        ssize_t done = write(fd, bytes, n);
        if (done < 0 && errno == EINTR) continue;
        if (done < 0) return errno;
        bytes += done;
        n -= (size_t)done;
    }
    return 0;
}

/* The header as it stands in the file. */
static void make_header(const hn_prefix_store *s, const hn_sequence *sequence, size_t n_tokens, unsigned char *out) {
    size_t n_blocks = blocks_of(n_tokens);
    file_start start = {.version = 1, .n_tokens = (uint32_t)n_tokens, .block_bytes = s->block_bytes};
    memcpy(start.magic, magic, sizeof magic);
    memcpy(start.identity, s->identity, IDENTITY);
    size_t tokens = n_blocks * HN_KV_BLOCK * sizeof(int32_t), at = sizeof start + tokens;
    memcpy(out, &start, sizeof start);
    memset(out + sizeof start, 0, tokens);
    memcpy(out + sizeof start, hn_sequence_tokens(sequence), n_tokens * sizeof(int32_t));
    for (size_t i = 0; i < n_blocks; i++, at += sizeof(uint64_t)) {
        uint64_t hash = hn_hash64(hn_sequence_block(sequence, i), s->block_bytes, i);
        memcpy(out + at, &hash, sizeof hash);
    }
    uint64_t sum = hn_hash64(out, at, 0);
    memcpy(out + at, &sum, sizeof sum);
}

static hn_status write_file(const hn_prefix_store *s, const char *name, const hn_sequence *sequence, size_t n_blocks,
                            const unsigned char *header, hn_error *err) {
    char path[HN_PATH_MAX], part[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, s->folder, name, err));
    if (snprintf(part, sizeof part, "%s.%ld%s", path, (long)getpid(), part_ending) >= (int)sizeof part)
        return hn_fail(err, HN_ERR_LIMIT, path, NULL, "the path is longer than %d bytes", HN_PATH_MAX);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) return hn_fail_errno(err, errno, part, "creating");
    int failed = put(fd, header, header_bytes(n_blocks));
    for (size_t i = 0; i < n_blocks && !failed; i++) failed = put(fd, hn_sequence_block(sequence, i), s->block_bytes);
    if (close(fd) != 0 && !failed) failed = errno;
    if (!failed && rename(part, path) != 0) failed = errno;
    if (!failed) return HN_OK;
    (void)unlink(part);
    return hn_fail_errno(err, failed, path, "writing");
}

hn_status hn_prefix_store_write(hn_prefix_store *s, const hn_sequence *sequence, size_t n_tokens, hn_error *err) {
    if (n_tokens < 1 || n_tokens > TOKENS_MAX || n_tokens > (size_t)hn_sequence_length(sequence))
        return hn_fail(err, HN_ERR_USAGE, "prefix", NULL, "%zu tokens are not there", n_tokens);
    size_t n_blocks = blocks_of(n_tokens), bytes = header_bytes(n_blocks);
    char name[96];
    HN_TRY(make_room(s, bytes + n_blocks * s->block_bytes, err));
    unsigned char *header = hn_alloc(bytes);
    if (!header) return hn_fail_memory(err, bytes);
    make_header(s, sequence, n_tokens, header);
    snprintf(name, sizeof name, "%.*s-%zu-%016llx%s", NAME_IDENTITY, s->identity, n_tokens,
             (unsigned long long)hn_hash64(hn_sequence_tokens(sequence), n_tokens * sizeof(int32_t), 0), ending);
    hn_status st = write_file(s, name, sequence, n_blocks, header, err);
    hn_free(header);
    if (st == HN_OK) add_file(s, name);
    return st;
}
