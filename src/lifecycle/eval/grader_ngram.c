/* Graders by n-grams: BLEU, GLEU, chrF, TER, ROUGE. Each case has its own value; BLEU, GLEU, chrF and TER also have one of the whole run, whose
 * counts are summed over the cases (that is what published figures are), so it is not the mean of the cases. */
#include "lifecycle/eval/grader_parts.h"
#include "text/bleu.h"
#include "text/chrf.h"
#include "text/rouge.h"
#include "text/ter.h"

#include <math.h>

/* The counts of one or many cases, of whichever metric. */
typedef struct counts {
    hn_bleu_counts bleu;
    hn_gleu_counts gleu;
    hn_chrf_counts chrf;
    hn_ter_counts ter;
} counts;

static hn_bleu_words bleu_words(const hn_grader *g) {
    return hn_grader_is(g, "words", "split") ? HN_BLEU_SPLIT : HN_BLEU_13A;
}

static hn_status add_counts(const hn_grader *g, const hn_graded *item, counts *c, hn_error *err) {
    hn_references r;
    HN_TRY(hn_references_of(g, item, &r, err));
    const hn_str *references = hn_references_items(&r);
    hn_str answer = hn_grader_answer(item);
    hn_status st = HN_OK;
    if (g->kind == &hn_grader_bleu)
        st = hn_bleu_add(&c->bleu, answer, references, r.n, bleu_words(g), err);
    else if (g->kind == &hn_grader_gleu)
        st = hn_gleu_add(&c->gleu, answer, references, r.n, err);
    else if (g->kind == &hn_grader_chrf)
        st = hn_chrf_add(&c->chrf, answer, references, r.n, (size_t)hn_grader_number(g, "word_order"), err);
    else
        st = hn_ter_add(&c->ter, answer, references, r.n, err);
    hn_references_free(&r);
    return st;
}

static double score_counts(const hn_grader *g, const counts *c, bool one_case) {
    if (g->kind == &hn_grader_bleu) return hn_bleu_score(&c->bleu, one_case, true);
    if (g->kind == &hn_grader_gleu) return hn_gleu_score(&c->gleu);
    if (g->kind == &hn_grader_chrf) return hn_chrf_score(&c->chrf);
    return hn_ter_score(&c->ter);
}

static hn_status grade_counts(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    counts c = {0};
    HN_TRY(add_counts(g, item, &c, err));
    out->value = score_counts(g, &c, true);
    return HN_OK;
}

static hn_status corpus_counts(hn_grader *g, const hn_graded *items, const double *values, size_t n, double *value,
                               hn_error *err) {
    counts c = {0};
    size_t n_counted = 0;
    for (size_t i = 0; i < n; i++) {
        if (isnan(values[i])) continue;
        HN_TRY(add_counts(g, &items[i], &c, err));
        n_counted++;
    }
    *value = n_counted ? score_counts(g, &c, false) : (double)NAN;
    return HN_OK;
}

const hn_grader_kind hn_grader_bleu = {"bleu",       .grade = grade_counts, .corpus = corpus_counts,
                                       .range = 100, .needs_target = true,  .corpus_name = "BLEU"};
const hn_grader_kind hn_grader_gleu = {"gleu",     .grade = grade_counts, .corpus = corpus_counts,
                                       .range = 1, .needs_target = true,  .corpus_name = "GLEU"};
const hn_grader_kind hn_grader_chrf = {"chrf",       .grade = grade_counts, .corpus = corpus_counts,
                                       .range = 100, .needs_target = true,  .corpus_name = "chrF"};
const hn_grader_kind hn_grader_ter = {"ter",
                                      .grade = grade_counts,
                                      .corpus = corpus_counts,
                                      .unit = "%",
                                      .needs_target = true,
                                      .lower_is_better = true,
                                      .corpus_name = "TER"};

static hn_status grade_rouge(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    hn_references r;
    HN_TRY(hn_references_of(g, item, &r, err));
    hn_status st = HN_OK;
    for (size_t i = 0; i < r.n && st == HN_OK; i++) {
        hn_rouge rouge;
        st = hn_rouge_score(hn_grader_answer(item), hn_references_items(&r)[i], hn_grader_flag(g, "stem"), &rouge, err);
        if (st != HN_OK) break;
        const hn_rouge_part *part = hn_grader_is(g, "measure", "rouge_1")   ? &rouge.rouge_1
                                    : hn_grader_is(g, "measure", "rouge_2") ? &rouge.rouge_2
                                                                            : &rouge.rouge_l;
        double value = hn_grader_is(g, "part", "precision") ? part->precision
                       : hn_grader_is(g, "part", "recall")  ? part->recall
                                                            : part->f1;
        if (isnan(out->value) || value > out->value) out->value = value;
    }
    hn_references_free(&r);
    return st;
}

const hn_grader_kind hn_grader_rouge = {"rouge", .grade = grade_rouge, .range = 1, .needs_target = true};
