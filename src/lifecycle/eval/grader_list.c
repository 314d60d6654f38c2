/* Graders of lists: labels (several labels for one case), set, list. A list is a JSON list, or text cut at the separator (white space around
 * items aside, empty ones left out); `labels` and `set` take each item once. */
#include "base/hash.h"
#include "lifecycle/eval/grader_parts.h"
#include "text/edit_distance.h"
#include "text/overlap.h"
#include "text/wordlist.h"

#include <string.h>

typedef struct items {
    hn_str *list;
    size_t n, capacity;
    hn_buf text; /* what the items point into, as offsets while it grows */
} items;

static void free_items(items *it) {
    hn_free(it->list);
    hn_buf_free(&it->text);
}

/* Items are kept as (offset, length) until all are there: the buffer may move while it grows. */
static hn_status add_item(const hn_grader *g, items *it, hn_str item, hn_error *err) {
    item = hn_str_trim(item);
    if (item.len == 0) return HN_OK;
    if (!hn_grow((void **)&it->list, &it->capacity, it->n + 1, sizeof *it->list)) return hn_fail_memory(err, it->n);
    size_t from = it->text.len;
    if (hn_grader_flag(g, "ignore_case"))
        hn_wordlist_lower(&it->text, item);
    else
        hn_buf_append(&it->text, item.data, item.len);
    it->list[it->n++] = (hn_str){(const char *)(uintptr_t)from, it->text.len - from};
    return hn_buf_check(&it->text, "a list", err);
}

static hn_status add_json(const hn_grader *g, items *it, const json_t *list, hn_error *err) {
    hn_status st = HN_OK;
    for (size_t i = 0; i < json_array_size(list) && st == HN_OK; i++) {
        const json_t *item = json_array_get(list, i);
        hn_buf text;
        if (json_is_string(item)) {
            st = add_item(g, it, (hn_str){json_string_value(item), json_string_length(item)}, err);
            continue;
        }
        hn_buf_init(&text, 0);
        hn_json_write(item, &(hn_json_style){.sort_keys = true}, &text);
        st = hn_buf_check(&text, "a list's item", err);
        if (st == HN_OK) st = add_item(g, it, (hn_str){hn_buf_str(&text), text.len}, err);
        hn_buf_free(&text);
    }
    return st;
}

static hn_status add_split(const hn_grader *g, items *it, hn_str text, hn_error *err) {
    const char *separator = hn_grader_option(g, "separator");
    size_t n = strlen(separator);
    while (text.len) {
        const char *cut = memmem(text.data, text.len, separator, n);
        size_t take = cut ? (size_t)(cut - text.data) : text.len, skip = cut ? take + n : take;
        HN_TRY(add_item(g, it, (hn_str){text.data, take}, err));
        text = (hn_str){text.data + skip, text.len - skip};
    }
    return HN_OK;
}

static hn_status read_items(const hn_grader *g, hn_str text, items *it, hn_error *err) {
    json_t *list = NULL;
    hn_status st = HN_OK;
    *it = (items){0};
    hn_buf_init(&it->text, 0);
    text = hn_str_trim(text);
    if (text.len && text.data[0] == '[') st = hn_json_parse(text.data, text.len, "text", HN_JSON_NUL, &list, NULL);
    if (st == HN_ERR_MEMORY) return hn_fail_memory(err, text.len);
    st = json_is_array(list) ? add_json(g, it, list, err) : add_split(g, it, text, err);
    json_decref(list);
    for (size_t i = 0; i < it->n; i++) it->list[i].data = hn_buf_str(&it->text) + (uintptr_t)it->list[i].data;
    return st;
}

static void keep_once(items *it) {
    size_t n = 0;
    for (size_t i = 0; i < it->n; i++) {
        size_t k = 0;
        while (k < n && !hn_str_equal(it->list[k], it->list[i])) k++;
        if (k == n) it->list[n++] = it->list[i];
    }
    it->n = n;
}

/* F1 of the longest common subsequence: what is there in the right order. */
static hn_status order_of(const items *a, const items *b, double *value, hn_error *err) {
    size_t length, n = a->n + b->n;
    uint64_t *hashes = hn_alloc((n ? n : 1) * sizeof *hashes);
    if (!hashes) return hn_fail_memory(err, n * sizeof *hashes);
    for (size_t i = 0; i < a->n; i++) hashes[i] = hn_hash64(a->list[i].data, a->list[i].len, 0);
    for (size_t i = 0; i < b->n; i++) hashes[a->n + i] = hn_hash64(b->list[i].data, b->list[i].len, 0);
    hn_status st = hn_edit_common(hashes, a->n, hashes + a->n, b->n, &length, err);
    hn_free(hashes);
    *value = n ? 2 * (double)length / (double)n : 1;
    return st;
}

static hn_status score_items(const hn_grader *g, items *given, items *wanted, double *value, hn_error *err) {
    hn_overlap o;
    if (g->kind != &hn_grader_list) {
        keep_once(given);
        keep_once(wanted);
    }
    if (hn_grader_is(g, "score", "order")) return order_of(given, wanted, value, err);
    HN_TRY(hn_overlap_lists(given->list, given->n, wanted->list, wanted->n, &o, err));
    *value = hn_grader_is(g, "score", "f1")          ? o.f1
             : hn_grader_is(g, "score", "jaccard")   ? o.jaccard
             : hn_grader_is(g, "score", "precision") ? o.precision
             : hn_grader_is(g, "score", "recall")    ? o.recall
             : g->kind == &hn_grader_list            ? o.same_list
                                                     : o.same_set;
    return HN_OK;
}

static hn_status grade_list(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    items given, wanted = {0};
    hn_status st = read_items(g, hn_grader_answer(item), &given, err);
    if (st == HN_OK) st = read_items(g, hn_str_of(item->row->target), &wanted, err);
    if (st == HN_OK) st = score_items(g, &given, &wanted, &out->value, err);
    free_items(&given);
    free_items(&wanted);
    return st;
}

const hn_grader_kind hn_grader_labels = {"labels", .grade = grade_list, .range = 1, .needs_target = true};
const hn_grader_kind hn_grader_set = {"set", .grade = grade_list, .range = 1, .needs_target = true};
const hn_grader_kind hn_grader_list = {"list", .grade = grade_list, .range = 1, .needs_target = true};
