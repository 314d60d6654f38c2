/* Shared prefixes of the local provider; see local_parts.h. A kept sequence is only a table of cache blocks: two that begin alike hold
 * those blocks together, so keeping whole prompts costs what differs. That makes a list with a scan as good as a tree: 48 comparisons
 * of some hundred integers against milliseconds of computing. */
#include "base/log.h"
#include "provider/local_parts.h"

size_t hn_local_common(const int32_t *a, size_t n_a, const int32_t *b, size_t n_b) {
    size_t n = n_a < n_b ? n_a : n_b, i = 0;
    while (i < n && a[i] == b[i]) i++;
    return i;
}

static size_t common_with(const hn_sequence *s, const int32_t *ids, size_t n) {
    return hn_local_common(hn_sequence_tokens(s), (size_t)hn_sequence_length(s), ids, n);
}

const hn_sequence *hn_local_prefix_find(hn_local *p, const int32_t *ids, size_t n, size_t *shared) {
    const hn_sequence *best = NULL;
    hn_local_prefix *kept = NULL;
    *shared = 0;
    for (size_t i = 0; i < p->n_prefixes; i++) {
        size_t common = common_with(p->prefixes[i].sequence, ids, n);
        if (common <= *shared) continue;
        *shared = common;
        kept = &p->prefixes[i];
        best = kept->sequence;
    }
    for (size_t i = 0; i < p->n_requests; i++) {
        const hn_local_request *r = p->requests[i];
        size_t common = r->sequence && r->state != HN_LOCAL_DONE ? common_with(r->sequence, ids, n) : 0;
        if (common <= *shared) continue;
        *shared = common;
        best = r->sequence;
        kept = NULL;
    }
    if (kept) kept->used = ++p->uses;
    return best;
}

static void drop_at(hn_local *p, size_t i) {
    hn_sequence_free(p->prefixes[i].sequence);
    p->prefixes[i] = p->prefixes[--p->n_prefixes];
}

bool hn_local_prefix_drop(hn_local *p) {
    size_t oldest = 0;
    if (p->n_prefixes == 0) return false;
    for (size_t i = 1; i < p->n_prefixes; i++)
        if (p->prefixes[i].used < p->prefixes[oldest].used) oldest = i;
    drop_at(p, oldest);
    return true;
}

void hn_local_prefix_keep(hn_local *p, hn_sequence *sequence) {
    size_t n = (size_t)hn_sequence_length(sequence);
    if (n < HN_LOCAL_SHARE_MIN) {
        hn_sequence_free(sequence);
        return;
    }
    for (size_t i = p->n_prefixes; i-- > 0;) {
        size_t other = (size_t)hn_sequence_length(p->prefixes[i].sequence);
        size_t common = common_with(p->prefixes[i].sequence, hn_sequence_tokens(sequence), n);
        if (common == n) { /* nothing new */
            p->prefixes[i].used = ++p->uses;
            hn_sequence_free(sequence);
            return;
        }
        if (common == other) drop_at(p, i);
    }
    while (p->n_prefixes >= HN_LOCAL_PREFIXES) hn_local_prefix_drop(p);
    p->prefixes[p->n_prefixes++] = (hn_local_prefix){sequence, ++p->uses};
}

/* ---- on disk ---- */

hn_status hn_local_store_open(hn_local *p, const hn_local_options *o, hn_error *err) {
    char model[HN_SHA256_HEX], identity[HN_SHA256_HEX];
    if (o->prefix_cache_bytes == 0) return HN_OK;
    HN_TRY(hn_model_hash(p->model, model, err));
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(err, 0);
    hn_sha256_field_str(h, "prefix 1");
    hn_sha256_field_str(h, model);
    hn_sha256_field_str(h, hn_engine_numeric_path(p->engine)); /* kernels and their version, the cache's type */
    hn_sha256_field_i64(h, (int64_t)hn_engine_block_bytes(p->engine));
    hn_sha256_finish(h, identity);
    return hn_prefix_store_open(&(hn_prefix_store_options){.folder = o->prefix_cache_folder,
                                                           .max_bytes = o->prefix_cache_bytes,
                                                           .identity = identity},
                                p->engine, &p->store, err);
}

static void warn(const hn_error *err) { hn_log(HN_LOG_WARN, "prefix cache", "%s", err->message); }

bool hn_local_store_fetch(hn_local *p, const int32_t *ids, size_t n, size_t shared) {
    hn_error err = {0};
    hn_sequence *s;
    size_t common = p->store ? hn_prefix_store_common(p->store, ids, n) : 0;
    if (common < HN_LOCAL_STORE_MIN || common < shared + HN_LOCAL_SHARE_MIN) return false;
    hn_status st = hn_sequence_create(p->engine, &s, &err);
    if (st == HN_OK) {
        st = hn_prefix_store_read(p->store, ids, n, s, &err);
        if (st != HN_OK) hn_sequence_free(s);
    }
    if (st != HN_OK) {
        warn(&err);
        return false;
    }
    p->store_read += common;
    hn_local_prefix_keep(p, s);
    return true;
}

void hn_local_store_save(hn_local *p, const hn_sequence *sequence, size_t n) {
    hn_error err = {0};
    if (!p->store || n < HN_LOCAL_STORE_MIN) return;
    /* Prompts that happen to share a few words more are not worth a file each. */
    if (4 * hn_prefix_store_common(p->store, hn_sequence_tokens(sequence), n) >= 3 * n) return;
    if (hn_prefix_store_write(p->store, sequence, n, &err) == HN_OK) {
        p->store_written += n;
        return;
    }
    warn(&err);
    hn_prefix_store_close(p->store); /* a full disk would fail each time */
    p->store = NULL;
}

void hn_local_store_close(hn_local *p) {
    if (p->store && p->n_prefixes == 1 && p->store_written == 0)
        hn_local_store_save(p, p->prefixes[0].sequence, (size_t)hn_sequence_length(p->prefixes[0].sequence));
    hn_prefix_store_close(p->store);
    p->store = NULL;
}
