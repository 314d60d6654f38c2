/* BLEU and GLEU; see bleu.h. */
#include "text/bleu.h"

#include "text/bag.h"
#include "text/wordlist.h"

#include <math.h>

typedef struct bleu_work {
    hn_wordlist answer, reference;
    hn_bag of_answer, of_reference, most;
} bleu_work;

static void work_free(bleu_work *w) {
    hn_wordlist_free(&w->answer);
    hn_wordlist_free(&w->reference);
    hn_bag_free(&w->of_answer);
    hn_bag_free(&w->of_reference);
    hn_bag_free(&w->most);
}

static hn_status cut(hn_wordlist *w, hn_str text, hn_bleu_words words, hn_error *err) {
    if (words == HN_BLEU_SPLIT) return hn_wordlist_split(w, text, err);
    while (text.len > 0) { /* white space at the end goes first: 13a joins a line that ends in a hyphen */
        size_t at = text.len - 1;
        if (!hn_wordlist_is_gap((unsigned char)text.data[at]) || (unsigned char)text.data[at] >= 128) break;
        text.len = at;
    }
    return hn_wordlist_13a(w, text, err);
}

static hn_status no_reference(hn_error *err) {
    return hn_fail(err, HN_ERR_USAGE, "references", "give at least one", "there is no reference to compare with");
}

/* Of one order. The references are cut again for each: they are short, and most often one. */
static hn_status count_order(bleu_work *w, size_t order, const hn_str *references, size_t n_references,
                             hn_bleu_words words, hn_bleu_counts *add, hn_error *err) {
    HN_TRY(hn_bag_ngrams(&w->of_answer, w->answer.hashes, w->answer.n, order, err));
    w->most.n = 0;
    for (size_t r = 0; r < n_references; r++) {
        if (n_references > 1 || order == 1) HN_TRY(cut(&w->reference, references[r], words, err));
        HN_TRY(hn_bag_ngrams(&w->of_reference, w->reference.hashes, w->reference.n, order, err));
        HN_TRY(hn_bag_raise(&w->most, &w->of_reference, err));
        if (order > 1) continue;
        uint64_t n = w->reference.n, own = w->answer.n, best = add->n_reference_words;
        uint64_t far = n > own ? n - own : own - n, best_far = best > own ? best - own : own - best;
        if (r == 0 || far < best_far || (far == best_far && n < best)) add->n_reference_words = n;
    }
    add->total[order - 1] = w->of_answer.n;
    add->matched[order - 1] = hn_bag_overlap(&w->of_answer, &w->most);
    return HN_OK;
}

hn_status hn_bleu_add(hn_bleu_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      hn_bleu_words words, hn_error *err) {
    if (n_references == 0) return no_reference(err);
    bleu_work w = {0};
    hn_bleu_counts add = {0};
    hn_status st = cut(&w.answer, answer, words, err);
    for (size_t order = 1; order <= HN_BLEU_ORDER && st == HN_OK; order++)
        st = count_order(&w, order, references, n_references, words, &add, err);
    if (st == HN_OK) {
        for (size_t i = 0; i < HN_BLEU_ORDER; i++) {
            counts->matched[i] += add.matched[i];
            counts->total[i] += add.total[i];
        }
        counts->n_words += w.answer.n;
        counts->n_reference_words += add.n_reference_words;
    }
    work_free(&w);
    return st;
}

double hn_bleu_score(const hn_bleu_counts *c, bool effective, bool smooth) {
    double logs = 0, smoothing = 1;
    size_t n_orders = 0;
    uint64_t any = 0;
    for (size_t i = 0; i < HN_BLEU_ORDER; i++) any |= c->matched[i];
    if (!any) return 0;
    for (size_t i = 0; i < HN_BLEU_ORDER && c->total[i]; i++, n_orders++) {
        double matched = (double)c->matched[i];
        if (c->matched[i] == 0) {
            if (!smooth) return 0;
            matched = 1 / (smoothing *= 2);
        }
        logs += log(100 * matched / (double)c->total[i]);
    }
    if (!effective && n_orders < HN_BLEU_ORDER) return 0;
    double short_by = 1 - (double)c->n_reference_words / (double)c->n_words;
    return (short_by < 0 ? exp(short_by) : 1) * exp(logs / (double)n_orders);
}

hn_status hn_bleu_sentence(hn_str answer, const hn_str *references, size_t n_references, hn_bleu_words words,
                           double *score, hn_error *err) {
    hn_bleu_counts counts = {0};
    HN_TRY(hn_bleu_add(&counts, answer, references, n_references, words, err));
    *score = hn_bleu_score(&counts, true, true);
    return HN_OK;
}

/* Against one reference. */
static hn_status gleu_of(bleu_work *w, hn_str reference, hn_gleu_counts *out, hn_error *err) {
    uint64_t of_answer = 0, of_reference = 0;
    out->matched = 0;
    HN_TRY(hn_wordlist_split(&w->reference, reference, err));
    for (size_t order = 1; order <= HN_BLEU_ORDER; order++) {
        HN_TRY(hn_bag_ngrams(&w->of_answer, w->answer.hashes, w->answer.n, order, err));
        HN_TRY(hn_bag_ngrams(&w->of_reference, w->reference.hashes, w->reference.n, order, err));
        out->matched += hn_bag_overlap(&w->of_answer, &w->of_reference);
        of_answer += w->of_answer.n;
        of_reference += w->of_reference.n;
    }
    out->total = of_answer > of_reference ? of_answer : of_reference;
    return HN_OK;
}

hn_status hn_gleu_add(hn_gleu_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                      hn_error *err) {
    if (n_references == 0) return no_reference(err);
    bleu_work w = {0};
    hn_gleu_counts best = {0, 0}, one;
    hn_status st = hn_wordlist_split(&w.answer, answer, err);
    for (size_t r = 0; r < n_references && st == HN_OK; r++) {
        st = gleu_of(&w, references[r], &one, err);
        if (st == HN_OK && (best.total == 0 || hn_gleu_score(&one) > hn_gleu_score(&best))) best = one;
    }
    if (st == HN_OK) {
        counts->matched += best.matched;
        counts->total += best.total;
    }
    work_free(&w);
    return st;
}

double hn_gleu_score(const hn_gleu_counts *counts) {
    return counts->total ? (double)counts->matched / (double)counts->total : 0;
}
