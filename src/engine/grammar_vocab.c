/* A vocabulary's tokens as a trie of bytes; see grammar_match_parts.h. The tokens are sorted by their bytes, first by
 * two bytes at once (counting), so that the whole takes a few milliseconds for 50,000 tokens. */
#include "engine/grammar_match_parts.h"

#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

typedef struct sorted_token {
    uint64_t key; /* the third to tenth byte */
    const char *bytes;
    uint32_t n;
    int32_t id;
} sorted_token;

static uint32_t head_of(const char *bytes, uint32_t n) {
    return (uint32_t)(unsigned char)bytes[0] << 8 | (n > 1 ? (unsigned char)bytes[1] : 0);
}

static uint64_t key_of(const char *bytes, uint32_t n) {
    uint64_t key = 0;
    for (uint32_t i = 2; i < 10; i++) key = key << 8 | (i < n ? (unsigned char)bytes[i] : 0);
    return key;
}

static int by_bytes(const void *a, const void *b) {
    const sorted_token *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    int order = memcmp(x->bytes, y->bytes, x->n < y->n ? x->n : y->n);
    if (order) return order;
    if (x->n != y->n) return x->n < y->n ? -1 : 1;
    return (x->id > y->id) - (x->id < y->id);
}

static hn_status sort_tokens(const hn_grammar_vocab *v, sorted_token **sorted, size_t *n_sorted, hn_error *err) {
    size_t n = 0;
    for (int32_t id = 0; id < v->n_tokens; id++) n += v->offsets[id + 1] > v->offsets[id];
    sorted_token *out = hn_realloc_array(NULL, n + 1, sizeof *out);
    uint32_t *first = hn_calloc(65537, sizeof *first);
    if (!out || !first) {
        hn_free(out);
        hn_free(first);
        return hn_fail_memory(err, n * sizeof *out);
    }
    for (int32_t id = 0; id < v->n_tokens; id++) {
        uint32_t length = v->offsets[id + 1] - v->offsets[id];
        if (length > 0) first[head_of(v->bytes + v->offsets[id], length) + 1]++;
    }
    for (size_t i = 0; i < 65536; i++) first[i + 1] += first[i];
    for (int32_t id = 0; id < v->n_tokens; id++) {
        const char *bytes = v->bytes + v->offsets[id];
        uint32_t length = v->offsets[id + 1] - v->offsets[id];
        if (length == 0) continue;
        out[first[head_of(bytes, length)]++] =
            (sorted_token){.key = key_of(bytes, length), .bytes = bytes, .n = length, .id = id};
    }
    for (size_t i = 0; i < 65536; i++) { /* each cursor stands at the next bucket's start by now */
        uint32_t from = i == 0 ? 0 : first[i - 1];
        if (first[i] - from > 1) qsort(out + from, first[i] - from, sizeof *out, by_bytes);
    }
    hn_free(first);
    *sorted = out;
    *n_sorted = n;
    return HN_OK;
}

static uint32_t shared_bytes(const sorted_token *a, const sorted_token *b) {
    uint32_t n = 0;
    while (n < a->n && n < b->n && a->bytes[n] == b->bytes[n]) n++;
    return n;
}

static hn_status allocate_nodes(hn_grammar_vocab *v, size_t n_sorted, hn_error *err) {
    v->ids = hn_calloc(n_sorted + 1, sizeof *v->ids);
    v->node_byte = hn_calloc(v->n_nodes, sizeof *v->node_byte);
    v->node_depth = hn_calloc(v->n_nodes, sizeof *v->node_depth);
    v->node_skip = hn_calloc(v->n_nodes, sizeof *v->node_skip);
    v->node_first = hn_calloc((size_t)v->n_nodes + 1, sizeof *v->node_first);
    return v->ids && v->node_byte && v->node_depth && v->node_skip && v->node_first
               ? HN_OK
               : hn_fail_memory(err, v->n_nodes * sizeof *v->node_skip);
}

/* `open`: the nodes on the way to the last token, (max_depth + 1). */
static void fill_nodes(hn_grammar_vocab *v, const sorted_token *sorted, size_t n_sorted, uint32_t *open) {
    uint32_t node = 1, depth = 0;
    open[0] = 0;
    for (size_t i = 0; i < n_sorted; i++) {
        uint32_t shared = i == 0 ? 0 : shared_bytes(&sorted[i - 1], &sorted[i]);
        for (; depth > shared; depth--) v->node_skip[open[depth]] = node;
        for (; depth < sorted[i].n; node++) {
            v->node_byte[node] = (uint8_t)sorted[i].bytes[depth++];
            v->node_depth[node] = (uint16_t)depth;
            v->node_first[node] = (uint32_t)i;
            open[depth] = node;
        }
        v->ids[i] = sorted[i].id;
    }
    for (; depth > 0; depth--) v->node_skip[open[depth]] = node;
    v->node_skip[0] = node;
    v->node_first[node] = (uint32_t)n_sorted;
}

static hn_status build_trie(hn_grammar_vocab *v, hn_error *err) {
    sorted_token *sorted = NULL;
    size_t n_sorted = 0;
    HN_TRY(sort_tokens(v, &sorted, &n_sorted, err));
    v->n_nodes = 1;
    for (size_t i = 0; i < n_sorted; i++) {
        v->n_nodes += sorted[i].n - (i == 0 ? 0 : shared_bytes(&sorted[i - 1], &sorted[i]));
        if (sorted[i].n > v->max_depth) v->max_depth = sorted[i].n;
    }
    uint32_t *open = hn_calloc((size_t)v->max_depth + 1, sizeof *open);
    hn_status st = open ? allocate_nodes(v, n_sorted, err) : hn_fail_memory(err, v->max_depth * sizeof *open);
    if (st == HN_OK) fill_nodes(v, sorted, n_sorted, open);
    hn_free(open);
    hn_free(sorted);
    return st;
}

/* Which bytes token `id` adds to the text; none: it is never allowed. */
typedef hn_str (*piece_fn)(const void *source, int32_t id);

static hn_status create(piece_fn piece, const void *source, int32_t n, hn_grammar_vocab **vocab, hn_error *err) {
    size_t n_bytes = 0;
    *vocab = NULL;
    hn_grammar_vocab *v = hn_calloc(1, sizeof *v);
    if (!v) return hn_fail_memory(err, sizeof *v);
    v->n_tokens = n;
    v->n_words = ((size_t)n + 63) / 64;
    for (int32_t id = 0; id < n; id++) n_bytes += piece(source, id).len;
    hn_status st = HN_OK;
    if (n_bytes > UINT32_MAX)
        st = hn_fail(err, HN_ERR_LIMIT, "vocabulary", NULL, "its tokens have %zu bytes, the limit is 4 GiB", n_bytes);
    else {
        v->bytes = hn_alloc(n_bytes + 1);
        v->offsets = hn_calloc((size_t)n + 1, sizeof *v->offsets);
        if (!v->bytes || !v->offsets) st = hn_fail_memory(err, n_bytes);
    }
    for (int32_t id = 0; id < n && st == HN_OK; id++) {
        hn_str bytes = piece(source, id);
        if (bytes.len > 0) memcpy(v->bytes + v->offsets[id], bytes.data, bytes.len);
        v->offsets[id + 1] = v->offsets[id] + (uint32_t)bytes.len;
    }
    if (st == HN_OK) st = build_trie(v, err);
    if (st != HN_OK)
        hn_grammar_vocab_free(v);
    else
        *vocab = v;
    return st;
}

/* A token that ends the answer is not text of it, whatever kind the file says it is. */
static hn_str tokenizer_piece(const void *source, int32_t id) {
    const hn_tokenizer *t = source;
    hn_token_kind kind = hn_tokenizer_kind(t, id);
    bool is_text = kind == HN_TOKEN_NORMAL || kind == HN_TOKEN_USER_DEFINED || kind == HN_TOKEN_BYTE;
    hn_str piece = {NULL, 0};
    if (is_text && !hn_tokenizer_is_end(t, id)) piece = hn_tokenizer_piece(t, id);
    return piece.len <= HN_GTOKEN_MAX ? piece : (hn_str){NULL, 0};
}

hn_status hn_grammar_vocab_create(const hn_tokenizer *tokenizer, hn_grammar_vocab **vocab, hn_error *err) {
    return create(tokenizer_piece, tokenizer, hn_tokenizer_vocab_size(tokenizer), vocab, err);
}

static hn_str array_piece(const void *source, int32_t id) {
    hn_str piece = ((const hn_str *)source)[id];
    return piece.len <= HN_GTOKEN_MAX ? piece : (hn_str){NULL, 0};
}

hn_status hn_grammar_vocab_from_pieces(const hn_str *pieces, int32_t n, hn_grammar_vocab **vocab, hn_error *err) {
    return create(array_piece, pieces, n, vocab, err);
}

void hn_grammar_vocab_free(hn_grammar_vocab *v) {
    if (!v) return;
    hn_automaton_free_all(v);
    hn_free(v->bytes);
    hn_free(v->offsets);
    hn_free(v->ids);
    hn_free(v->node_byte);
    hn_free(v->node_depth);
    hn_free(v->node_skip);
    hn_free(v->node_first);
    hn_free(v);
}
