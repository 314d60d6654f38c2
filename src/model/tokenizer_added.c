/* Added tokens: a trie over their texts, walked from each byte that one of them starts with. */
#include "model/tokenizer_parts.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

static uint32_t child_of(const hn_added_set *set, uint32_t node, unsigned char byte) {
    if (node == 0) return set->first[byte];
    uint32_t child = set->nodes[node].child;
    while (child && set->nodes[child].byte != byte) child = set->nodes[child].sibling;
    return child;
}

static hn_status new_child(hn_added_set *set, uint32_t node, unsigned char byte, uint32_t *child, hn_error *err) {
    size_t need = set->n_nodes ? set->n_nodes + 1 : 2;
    if (need >= UINT32_MAX || !hn_grow((void **)&set->nodes, &set->node_capacity, need, sizeof *set->nodes))
        return hn_fail_memory(err, need * sizeof *set->nodes);
    if (!set->n_nodes) set->nodes[set->n_nodes++] = (hn_trie_node){.added = -1};
    *child = (uint32_t)set->n_nodes++;
    set->nodes[*child] = (hn_trie_node){.added = -1, .byte = byte};
    if (node == 0)
        set->first[byte] = *child;
    else {
        set->nodes[*child].sibling = set->nodes[node].child;
        set->nodes[node].child = *child;
    }
    return HN_OK;
}

hn_status hn_added_put(hn_added_set *set, hn_str text, hn_added added, hn_error *err) {
    if (!text.len) return HN_OK; /* an empty text would match everywhere */
    uint32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        uint32_t child = child_of(set, node, (unsigned char)text.data[i]);
        if (!child) HN_TRY(new_child(set, node, (unsigned char)text.data[i], &child, err));
        node = child;
    }
    if (set->nodes[node].added >= 0) return HN_OK; /* the first of two with one text */
    if (!hn_grow((void **)&set->added, &set->added_capacity, set->n_added + 1, sizeof *set->added))
        return hn_fail_memory(err, set->n_added * sizeof *set->added);
    set->nodes[node].added = (int32_t)set->n_added;
    set->added[set->n_added++] = added;
    return HN_OK;
}

void hn_added_free(hn_added_set *set) {
    hn_free(set->added);
    hn_free(set->nodes);
    *set = (hn_added_set){0};
}

static bool is_word_char(uint32_t cp) {
    return cp == '_' || hn_unicode_is_letter(cp) || hn_unicode_is_number(cp) || hn_unicode_is_mark(cp);
}

static bool word_before(const char *text, size_t at) {
    size_t start = at;
    uint32_t cp;
    while (start > 0 && at - start < 4 && ((unsigned char)text[start - 1] & 0xC0) == 0x80) start--;
    if (start > 0) start--;
    if (start == at) return false;
    (void)hn_utf8_decode(text + start, at - start, &cp);
    return is_word_char(cp);
}

static bool word_after(const char *text, size_t n, size_t at) {
    uint32_t cp;
    if (at >= n) return false;
    (void)hn_utf8_decode(text + at, n - at, &cp);
    return is_word_char(cp);
}

/* The end (in the text's offsets) up to which a control token may reach that starts at `at`; 0: none may. */
static size_t trusted_end(const hn_trust *trust, size_t at) {
    if (trust->everywhere) return SIZE_MAX;
    size_t low = 0, high = trust->n, place = at + trust->offset;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (trust->ranges[middle].end > place)
            high = middle;
        else
            low = middle + 1;
    }
    return low < trust->n && trust->ranges[low].start <= place ? trust->ranges[low].end - trust->offset : 0;
}

/* The longest token that starts at `at` and may stand there. */
static hn_added_match match_at(const hn_added_set *set, const char *text, size_t n, size_t at, const hn_trust *trust) {
    hn_added_match best = {0};
    size_t control_end = trusted_end(trust, at);
    uint32_t node = 0;
    for (size_t i = at; i < n; i++) {
        node = child_of(set, node, (unsigned char)text[i]);
        if (!node) break;
        int32_t index = set->nodes[node].added;
        if (index < 0) continue;
        const hn_added *added = &set->added[index];
        if (added->control && i + 1 > control_end) continue;
        if (added->single_word && (word_before(text, at) || word_after(text, n, i + 1))) continue;
        best = (hn_added_match){added, at, i + 1};
    }
    return best;
}

static size_t white_space_after(const char *text, size_t n, size_t at) {
    uint32_t cp;
    while (at < n) {
        size_t len = hn_utf8_decode(text + at, n - at, &cp);
        if (!hn_unicode_is_space(cp)) break;
        at += len;
    }
    return at;
}

/* The start of the white space that ends at `at`, not before `from`. */
static size_t white_space_before(const char *text, size_t from, size_t at) {
    size_t start = at;
    for (size_t i = from; i < at;) {
        uint32_t cp;
        size_t len = hn_utf8_decode(text + i, at - i, &cp);
        if (!hn_unicode_is_space(cp))
            start = at;
        else if (start == at)
            start = i;
        i += len;
    }
    return start;
}

hn_added_match hn_added_next(const hn_added_set *set, const char *text, size_t n, size_t from, const hn_trust *trust) {
    if (!set->n_added) return (hn_added_match){0};
    for (size_t at = from; at < n; at++) {
        if (!set->first[(unsigned char)text[at]]) continue;
        hn_added_match m = match_at(set, text, n, at, trust);
        if (!m.added) continue;
        if (m.added->lstrip) m.start = white_space_before(text, from, m.start);
        if (m.added->rstrip) m.end = white_space_after(text, n, m.end);
        return m;
    }
    return (hn_added_match){0};
}

int32_t hn_added_find(const hn_added_set *set, hn_str text, bool *control) {
    uint32_t node = 0;
    for (size_t i = 0; i < text.len; i++) {
        node = child_of(set, node, (unsigned char)text.data[i]);
        if (!node) return -1;
    }
    if (!node || set->nodes[node].added < 0) return -1;
    const hn_added *added = &set->added[set->nodes[node].added];
    if (control) *control = added->control;
    return added->id;
}
