/* Texts of tokens in one block, and the table from text to id. No allocation per token: a vocabulary of 50,000 loads
 * in a
 * few milliseconds. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"

#include <string.h>

/* Short keys, known to be bytes of one block: two overlapping 8-byte reads and a multiply are enough. */
static inline uint32_t hash_text(const char *text, size_t n) {
    uint64_t a = 0, b = 0, h = n * 0x9E3779B97F4A7C15u;
    while (n > 16) {
        memcpy(&a, text, 8);
        h = (h ^ a) * 0xD6E8FEB86659FD93u;
        h ^= h >> 32;
        text += 8;
        n -= 8;
    }
    if (n >= 8) {
        memcpy(&a, text, 8);
        memcpy(&b, text + n - 8, 8);
    } else if (n >= 4) {
        memcpy(&a, text, 4);
        memcpy(&b, text + n - 4, 4);
    } else if (n) {
        a = (unsigned char)text[0] | (uint64_t)(unsigned char)text[n / 2] << 8 |
            (uint64_t)(unsigned char)text[n - 1] << 16;
    }
    h = (h ^ a) * 0xD6E8FEB86659FD93u;
    h ^= h >> 32;
    h = (h ^ b) * 0xD6E8FEB86659FD93u;
    return (uint32_t)(h >> 32);
}

hn_status hn_vocab_create(hn_vocab *v, uint32_t n, size_t n_bytes, hn_error *err) {
    *v = (hn_vocab){.n = n};
    size_t slots = 16;
    while (slots < (size_t)n * 2) slots *= 2;
    if (n_bytes > UINT32_MAX / 2)
        return hn_fail(err, HN_ERR_LIMIT, "vocabulary", NULL, "its texts have %zu bytes, the limit is %u", n_bytes,
                       UINT32_MAX / 2);
    v->bytes = hn_alloc(n_bytes + 16);
    v->offsets = hn_calloc((size_t)n + 1, sizeof *v->offsets);
    v->slots = hn_calloc(slots, sizeof *v->slots);
    v->mask = slots - 1;
    if (v->bytes && v->offsets && v->slots) return HN_OK;
    hn_vocab_free(v);
    return hn_fail_memory(err, n_bytes);
}

void hn_vocab_free(hn_vocab *v) {
    hn_free(v->bytes);
    hn_free(v->offsets);
    hn_free(v->slots);
    *v = (hn_vocab){0};
}

void hn_vocab_end(hn_vocab *v, uint32_t id, size_t len) {
    v->offsets[id + 1] = v->offsets[id] + (uint32_t)len;
    if (len > v->max_len) v->max_len = (uint32_t)len;
}

uint32_t hn_vocab_hash(const char *text, size_t n) { return hash_text(text, n); }

static inline uint64_t *slot_of(const hn_vocab *v, const char *text, size_t n, uint32_t hash) {
    for (size_t at = hash;; at++) {
        uint64_t *slot = &v->slots[at & v->mask];
        if (!*slot) return slot;
        if ((uint32_t)(*slot >> 32) != hash) continue;
        hn_str other = hn_vocab_text(v, (uint32_t)*slot - 1);
        if (other.len == n && memcmp(other.data, text, n) == 0) return slot;
    }
}

void hn_vocab_index(hn_vocab *v, uint32_t id) {
    hn_str text = hn_vocab_text(v, id);
    if (!text.len) return;
    uint32_t hash = hash_text(text.data, text.len);
    uint64_t *slot = slot_of(v, text.data, text.len, hash);
    if (!*slot) *slot = (uint64_t)hash << 32 | (id + 1);
}

int32_t hn_vocab_find_hashed(const hn_vocab *v, const char *text, size_t n, uint32_t hash) {
    if (n == 0 || n > v->max_len) return -1;
    uint64_t slot = *slot_of(v, text, n, hash);
    return slot ? (int32_t)((uint32_t)slot - 1) : -1;
}

int32_t hn_vocab_find(const hn_vocab *v, const char *text, size_t n) {
    return n > v->max_len ? -1 : hn_vocab_find_hashed(v, text, n, hash_text(text, n));
}
