/* chrF; see chrf.h. */
#include "text/chrf.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/utf8.h"
#include "text/bag.h"
#include "text/wordlist.h"

#include <string.h>

enum { N_ORDERS = HN_CHRF_CHARS + HN_CHRF_WORDS_MAX };

/* One text: the bags of all its orders. */
typedef struct chrf_text {
    hn_wordlist words;
    uint64_t *units;
    size_t n_units, capacity;
    hn_bag bags[N_ORDERS];
} chrf_text;

static void text_free(chrf_text *t) {
    hn_wordlist_free(&t->words);
    hn_free(t->units);
    for (int i = 0; i < N_ORDERS; i++) hn_bag_free(&t->bags[i]);
}

static hn_status add_unit(chrf_text *t, uint64_t unit, hn_error *err) {
    if (!hn_grow((void **)&t->units, &t->capacity, t->n_units + 1, sizeof *t->units))
        return hn_fail_memory(err, t->n_units * sizeof *t->units);
    t->units[t->n_units++] = unit;
    return HN_OK;
}

/* ASCII punctuation. */
static bool is_mark(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

static hn_status add_word(chrf_text *t, hn_str word, hn_error *err) {
    size_t cut = 0; /* where a mark is taken off: at the end before at the start */
    if (hn_utf8_count(word.data, word.len) > 1) {
        if (is_mark(word.data[word.len - 1]))
            cut = word.len - 1;
        else if (is_mark(word.data[0]))
            cut = 1;
    }
    if (cut) HN_TRY(add_unit(t, hn_hash64(word.data, cut, 1), err));
    return add_unit(t, hn_hash64(word.data + cut, word.len - cut, 1), err);
}

static hn_status take(chrf_text *t, hn_str text, size_t word_order, hn_error *err) {
    HN_TRY(hn_wordlist_split(&t->words, text, err));
    t->n_units = 0;
    for (size_t w = 0; w < t->words.n; w++) {
        hn_str word = t->words.items[w];
        for (size_t i = 0, used; i < word.len; i += used) {
            uint32_t cp;
            bool valid = hn_utf8_decode_strict(word.data + i, word.len - i, &cp, &used);
            HN_TRY(add_unit(t, valid ? cp : 0x110000u + (unsigned char)word.data[i], err));
        }
    }
    for (size_t n = 1; n <= HN_CHRF_CHARS; n++) HN_TRY(hn_bag_ngrams(&t->bags[n - 1], t->units, t->n_units, n, err));
    if (word_order == 0) return HN_OK;
    t->n_units = 0;
    for (size_t w = 0; w < t->words.n; w++) HN_TRY(add_word(t, t->words.items[w], err));
    for (size_t n = 1; n <= word_order; n++)
        HN_TRY(hn_bag_ngrams(&t->bags[HN_CHRF_CHARS + n - 1], t->units, t->n_units, n, err));
    return HN_OK;
}

static hn_chrf_counts count(const chrf_text *answer, const chrf_text *reference) {
    hn_chrf_counts c = {0};
    for (int i = 0; i < N_ORDERS; i++) {
        if (reference->bags[i].n) c.of_answer[i] = answer->bags[i].n; /* else there is nothing it could have matched */
        c.of_reference[i] = reference->bags[i].n;
        c.matched[i] = hn_bag_overlap(&answer->bags[i], &reference->bags[i]);
    }
    return c;
}

double hn_chrf_score(const hn_chrf_counts *c) {
    double precision = 0, recall = 0, factor = 4, n_orders = 0;
    for (int i = 0; i < N_ORDERS; i++) {
        if (c->of_answer[i] == 0 || c->of_reference[i] == 0) continue;
        precision += (double)c->matched[i] / (double)c->of_answer[i];
        recall += (double)c->matched[i] / (double)c->of_reference[i];
        n_orders++;
    }
    if (!(precision + recall > 0)) return 0;
    precision /= n_orders;
    recall /= n_orders;
    return 100 * (1 + factor) * precision * recall / (factor * precision + recall);
}

hn_status hn_chrf_add(hn_chrf_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      size_t word_order, hn_error *err) {
    if (n_references == 0)
        return hn_fail(err, HN_ERR_USAGE, "references", "give at least one", "there is no reference to compare with");
    if (word_order > HN_CHRF_WORDS_MAX)
        return hn_fail(err, HN_ERR_USAGE, "word order", "0 is chrF, 2 is chrF++", "it is %zu, the limit is %d",
                       word_order, HN_CHRF_WORDS_MAX);
    chrf_text a, r;
    memset(&a, 0, sizeof a);
    memset(&r, 0, sizeof r);
    hn_chrf_counts best = {0}, one;
    hn_status st = take(&a, answer, word_order, err);
    for (size_t i = 0; i < n_references && st == HN_OK; i++) {
        st = take(&r, references[i], word_order, err);
        if (st != HN_OK) break;
        one = count(&a, &r);
        if (i == 0 || hn_chrf_score(&one) > hn_chrf_score(&best)) best = one;
    }
    for (int i = 0; i < N_ORDERS && st == HN_OK; i++) {
        counts->of_answer[i] += best.of_answer[i];
        counts->of_reference[i] += best.of_reference[i];
        counts->matched[i] += best.matched[i];
    }
    text_free(&a);
    text_free(&r);
    return st;
}

hn_status hn_chrf_sentence(hn_str answer, const hn_str *references, size_t n_references, size_t word_order,
                           double *score, hn_error *err) {
    hn_chrf_counts counts = {0};
    HN_TRY(hn_chrf_add(&counts, answer, references, n_references, word_order, err));
    *score = hn_chrf_score(&counts);
    return HN_OK;
}
