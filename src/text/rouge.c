/* ROUGE; see rouge.h. */
#include "text/rouge.h"

#include "text/bag.h"
#include "text/edit_distance.h"
#include "text/wordlist.h"

static hn_rouge_part part(size_t shared, size_t of_answer, size_t of_reference) {
    hn_rouge_part p = {0, 0, 0};
    if (shared == 0) return p;
    p.precision = (double)shared / (double)of_answer;
    p.recall = (double)shared / (double)of_reference;
    p.f1 = 2 * p.precision * p.recall / (p.precision + p.recall);
    return p;
}

static hn_status rouge_n(const hn_wordlist *a, const hn_wordlist *r, size_t n, hn_rouge_part *out, hn_error *err) {
    hn_bag of_a = {0}, of_r = {0};
    hn_status st = hn_bag_ngrams(&of_a, a->hashes, a->n, n, err);
    if (st == HN_OK) st = hn_bag_ngrams(&of_r, r->hashes, r->n, n, err);
    if (st == HN_OK) *out = part(hn_bag_overlap(&of_a, &of_r), of_a.n, of_r.n);
    hn_bag_free(&of_a);
    hn_bag_free(&of_r);
    return st;
}

hn_status hn_rouge_score(hn_str answer, hn_str reference, bool stem, hn_rouge *out, hn_error *err) {
    hn_wordlist a = {0}, r = {0};
    size_t common = 0;
    hn_status st;
    HN_GOTO(hn_wordlist_rouge(&a, answer, stem, err), done);
    HN_GOTO(hn_wordlist_rouge(&r, reference, stem, err), done);
    HN_GOTO(rouge_n(&a, &r, 1, &out->rouge_1, err), done);
    HN_GOTO(rouge_n(&a, &r, 2, &out->rouge_2, err), done);
    HN_GOTO(hn_edit_common(a.hashes, a.n, r.hashes, r.n, &common, err), done);
    out->rouge_l = part(common, a.n, r.n);
done:
    hn_wordlist_free(&a);
    hn_wordlist_free(&r);
    return st;
}
