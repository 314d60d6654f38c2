/* Graders that compare texts as they are: exact, contains, starts_with, regex, token_f1, edit_distance, jaccard. Of several right answers the
 * one that fits best counts. */
#include "base/regex.h"
#include "lifecycle/eval/grader_parts.h"
#include "text/edit_distance.h"
#include "text/overlap.h"
#include "text/wordlist.h"

#include <math.h>
#include <string.h>

/* A score of the answer against one right answer. */
typedef hn_status score_fn(const hn_grader *g, hn_str answer, hn_str reference, double *value, hn_error *err);

/* The best over the right answers. */
static hn_status best_of(const hn_grader *g, const hn_graded *item, score_fn *score, hn_grade *out, hn_error *err) {
    hn_references r;
    bool lower = hn_grader_traits_of(g).lower_is_better;
    HN_TRY(hn_references_of(g, item, &r, err));
    hn_status st = HN_OK;
    for (size_t i = 0; i < r.n && st == HN_OK; i++) {
        double value;
        st = score(g, hn_grader_answer(item), hn_references_items(&r)[i], &value, err);
        if (st == HN_OK && (isnan(out->value) || (lower ? value < out->value : value > out->value))) out->value = value;
    }
    hn_references_free(&r);
    return st;
}

/* ---- exact, contains, starts_with ---- */

/* `text` as the options want it compared, appended to `out`. */
static hn_status folded(const hn_grader *g, hn_str text, hn_buf *out, hn_error *err) {
    hn_buf_init(out, 0);
    if (hn_grader_is(g, "normalize", "squad"))
        HN_TRY(hn_squad_normalize(text, out, err));
    else if (hn_grader_flag(g, "ignore_case"))
        hn_wordlist_lower(out, text);
    else
        hn_buf_append(out, text.data, text.len);
    return hn_buf_check(out, "an answer", err);
}

static hn_status score_texts(const hn_grader *g, hn_str answer, hn_str reference, double *value, hn_error *err) {
    hn_buf a, r;
    hn_buf_init(&r, 0);
    hn_status st = folded(g, answer, &a, err);
    if (st == HN_OK) st = folded(g, reference, &r, err);
    *value = 0;
    if (st == HN_OK && g->kind == &hn_grader_exact)
        *value = a.len == r.len && (a.len == 0 || memcmp(a.data, r.data, a.len) == 0);
    else if (st == HN_OK && g->kind == &hn_grader_starts_with)
        *value = a.len >= r.len && (r.len == 0 || memcmp(a.data, r.data, r.len) == 0);
    else if (st == HN_OK)
        *value = r.len == 0 || (a.len >= r.len && memmem(a.data, a.len, r.data, r.len) != NULL);
    hn_buf_free(&a);
    hn_buf_free(&r);
    return st;
}

static hn_status grade_texts(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    const char *text = hn_grader_option(g, "text");
    if (text) return score_texts(g, hn_grader_answer(item), hn_str_of(text), &out->value, err);
    if (!item->row->target) return HN_OK;
    return best_of(g, item, score_texts, out, err);
}

const hn_grader_kind hn_grader_exact = {"exact", .grade = grade_texts, .range = 1};
const hn_grader_kind hn_grader_contains = {"contains", .grade = grade_texts, .range = 1};
const hn_grader_kind hn_grader_starts_with = {"starts_with", .grade = grade_texts, .range = 1};

/* ---- regex ---- */

typedef struct pattern {
    hn_regex *re;
    hn_regex_scratch *scratch;
} pattern;

static void close_regex(hn_grader *g) {
    pattern *p = g->state;
    if (!p) return;
    hn_regex_scratch_free(p->scratch);
    hn_regex_free(p->re);
    hn_free(p);
}

static hn_status open_regex(hn_grader *g, hn_error *err) {
    hn_buf text;
    hn_error why = {0};
    pattern *p = g->state = hn_calloc(1, sizeof *p);
    if (!p || !(p->scratch = hn_regex_scratch_create())) return hn_fail_memory(err, sizeof *p);
    hn_buf_init(&text, 1 << 20);
    hn_buf_appendf(&text, "%s%s", hn_grader_flag(g, "ignore_case") ? "(?i)" : "", hn_grader_option(g, "pattern"));
    hn_status st = hn_buf_check(&text, "the pattern", err);
    if (st == HN_OK) {
        st = hn_regex_compile(hn_buf_str(&text), text.len, &p->re, &why);
        if (st != HN_OK)
            st = hn_fail(err, st, g->config->place,
                         "put the pattern in single quotes: backslashes then stay as they are", "grader %s: %s",
                         g->config->name, why.message);
    }
    hn_buf_free(&text);
    return st;
}

static hn_status grade_regex(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    pattern *p = g->state;
    hn_str answer = hn_grader_answer(item);
    hn_regex_match match = {0};
    if (hn_grader_flag(g, "whole"))
        HN_TRY(hn_regex_matches(p->re, p->scratch, answer.data ? answer.data : "", answer.len, &match.found, err));
    else
        HN_TRY(hn_regex_find(p->re, p->scratch, answer.data ? answer.data : "", answer.len, 0, &match, err));
    out->value = match.found;
    return HN_OK;
}

const hn_grader_kind hn_grader_regex = {"regex", .open = open_regex, .grade = grade_regex, .close = close_regex,
                                        .range = 1};

/* ---- words and characters ---- */

static hn_status score_token_f1(const hn_grader *g, hn_str answer, hn_str reference, double *value, hn_error *err) {
    hn_squad squad;
    (void)g;
    HN_TRY(hn_squad_score(answer, reference, &squad, err));
    *value = squad.f1;
    return HN_OK;
}

static hn_status grade_token_f1(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    return best_of(g, item, score_token_f1, out, err);
}

const hn_grader_kind hn_grader_token_f1 = {"token_f1", .grade = grade_token_f1, .range = 1, .needs_target = true};

/* 1 - distance / the longer text's length: 1 for equal texts, 0 for ones that share nothing. */
static hn_status similarity_of(size_t distance, bool words, hn_str a, hn_str b, double *value, hn_error *err) {
    size_t n_a, n_b;
    if (words) {
        hn_wordlist list = {0};
        hn_status st = hn_wordlist_split(&list, a, err);
        n_a = list.n;
        if (st == HN_OK) st = hn_wordlist_split(&list, b, err);
        n_b = list.n;
        hn_wordlist_free(&list);
        HN_TRY(st);
    } else {
        n_a = n_b = 0;
        for (size_t i = 0; i < a.len; i++) n_a += ((unsigned char)a.data[i] & 0xC0) != 0x80;
        for (size_t i = 0; i < b.len; i++) n_b += ((unsigned char)b.data[i] & 0xC0) != 0x80;
    }
    size_t longer = n_a > n_b ? n_a : n_b;
    double share = longer ? (double)distance / (double)longer : 0;
    *value = 1 - (share > 1 ? 1 : share); /* invalid UTF-8 may count as more characters than are seen here */
    return HN_OK;
}

static hn_status score_edits(const hn_grader *g, hn_str answer, hn_str reference, double *value, hn_error *err) {
    bool words = hn_grader_is(g, "unit", "words");
    size_t distance;
    if (hn_grader_is(g, "as", "rate"))
        return words ? hn_edit_error_rate_words(answer, reference, value, err)
                     : hn_edit_error_rate_chars(answer, reference, value, err);
    if (words)
        HN_TRY(hn_edit_words(answer, reference, HN_EDIT_NO_LIMIT, &distance, err));
    else
        HN_TRY(hn_edit_chars(answer, reference, HN_EDIT_NO_LIMIT, &distance, err));
    if (hn_grader_is(g, "as", "similarity")) return similarity_of(distance, words, answer, reference, value, err);
    *value = (double)distance;
    return HN_OK;
}

static hn_status grade_edits(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    return best_of(g, item, score_edits, out, err);
}

const hn_grader_kind hn_grader_edit_distance = {"edit_distance", .grade = grade_edits, .lower_is_better = true,
                                                .needs_target = true};

static hn_status grade_jaccard(hn_grader *g, const hn_graded *item, hn_grade *out, hn_error *err) {
    size_t k = (size_t)hn_grader_number(g, "k");
    hn_str answer = hn_grader_answer(item), target = hn_str_trim(hn_str_of(item->row->target));
    return hn_grader_is(g, "unit", "words") ? hn_jaccard_words(answer, target, k, &out->value, err)
                                            : hn_jaccard_chars(answer, target, k, &out->value, err);
}

const hn_grader_kind hn_grader_jaccard = {"jaccard", .grade = grade_jaccard, .range = 1, .needs_target = true};
