/* TER; see ter.h. The band's edges follow tercom's: row i looks at columns around floor(i * length ratio). */
#include "text/ter.h"

#include "base/alloc.h"
#include "text/wordlist.h"

#include <math.h>
#include <string.h>

enum { MOVE_MAX = 10, FAR_MAX = 50, BAND = 25, TRIES_MAX = 1000, UNREACHED = 1 << 29 };
enum { STEP_BOTH, STEP_REPLACE, STEP_EXTRA, STEP_MISSING }; /* EXTRA: a word of the answer; MISSING: of the reference */

typedef struct ter_work {
    const uint64_t *reference;
    int n, n_reference; /* words */
    int band, width;
    uint64_t *answer, *moved, *best; /* (n): as it is now, a move tried, the best one */
    int *row, *above;                /* (n_reference + 1) costs */
    unsigned char *steps;            /* (n + 1, width) */
    int *place;                      /* (n_reference): the answer's word at or before that of the reference, or -1 */
    unsigned char *wrong, *missing;  /* (n), (n_reference) */
    int n_tries;
} ter_work;

static void work_free(ter_work *w) {
    hn_free(w->answer);
    hn_free(w->moved);
    hn_free(w->best);
    hn_free(w->row);
    hn_free(w->above);
    hn_free(w->steps);
    hn_free(w->place);
    hn_free(w->wrong);
    hn_free(w->missing);
}

static hn_status work_make(ter_work *w, const hn_wordlist *answer, const hn_wordlist *reference, hn_error *err) {
    *w = (ter_work){.reference = reference->hashes, .n = (int)answer->n, .n_reference = (int)reference->n};
    size_t n = answer->n + 1, n_reference = reference->n + 1;
    double ratio = answer->n ? (double)reference->n / (double)answer->n : 1;
    w->band = ratio / 2 > BAND ? (int)ceil(ratio / 2 + BAND) : BAND; /* else rows would have no column in common */
    w->width = 2 * w->band + 4;
    w->answer = hn_calloc(n, sizeof *w->answer);
    w->moved = hn_calloc(n, sizeof *w->moved);
    w->best = hn_calloc(n, sizeof *w->best);
    w->row = hn_calloc(n_reference, sizeof *w->row);
    w->above = hn_calloc(n_reference, sizeof *w->above);
    w->steps = hn_calloc(n, (size_t)w->width);
    w->place = hn_calloc(n_reference, sizeof *w->place);
    w->wrong = hn_calloc(n, 1);
    w->missing = hn_calloc(n_reference, 1);
    if (!w->answer || !w->moved || !w->best || !w->row || !w->above || !w->steps || !w->place || !w->wrong ||
        !w->missing) {
        work_free(w);
        return hn_fail_memory(err, n * (size_t)w->width);
    }
    if (answer->n) memcpy(w->answer, answer->hashes, answer->n * sizeof *w->answer);
    return HN_OK;
}

/* The first column of row i, and the one after its last. */
static int row_from(const ter_work *w, int i) {
    int middle = (int)floor(i * ((double)w->n_reference / w->n));
    return middle > w->band ? middle - w->band : 0;
}
static int row_to(const ter_work *w, int i) {
    int middle = (int)floor(i * ((double)w->n_reference / w->n)), to = middle + w->band;
    return i == w->n || to > w->n_reference + 1 ? w->n_reference + 1 : to;
}

/* Edit distance of `words` (n) and the reference within the band; fills steps. */
static int band_distance(ter_work *w, const uint64_t *words) {
    int above_from = 0, above_to = w->n_reference + 1;
    for (int j = 0; j <= w->n_reference; j++) w->row[j] = j;
    for (int i = 1; i <= w->n; i++) {
        int *t = w->above, from = row_from(w, i), to = row_to(w, i);
        w->above = w->row;
        w->row = t;
        unsigned char *steps = w->steps + (size_t)i * (size_t)w->width;
        for (int j = from; j < to; j++) {
            int cost = UNREACHED, step = STEP_EXTRA;
            if (j > 0 && j - 1 >= above_from && j - 1 < above_to) {
                bool equal = words[i - 1] == w->reference[j - 1];
                cost = w->above[j - 1] + !equal;
                step = equal ? STEP_BOTH : STEP_REPLACE;
            }
            if (j >= above_from && j < above_to && w->above[j] + 1 < cost) {
                cost = w->above[j] + 1;
                step = STEP_EXTRA;
            }
            if (j > from && w->row[j - 1] + 1 < cost) {
                cost = w->row[j - 1] + 1;
                step = STEP_MISSING;
            }
            w->row[j] = cost;
            steps[j - from] = (unsigned char)step;
        }
        above_from = from;
        above_to = to;
    }
    return w->row[w->n_reference];
}

/* From the steps of the last band_distance: what is wrong, what is missing, where the reference's words stand. */
static void trace_back(ter_work *w) {
    int i = w->n, j = w->n_reference;
    while (i > 0 || j > 0) {
        int step = i > 0 ? w->steps[(size_t)i * (size_t)w->width + (size_t)(j - row_from(w, i))] : STEP_MISSING;
        if (i > 0 && j == 0) step = STEP_EXTRA;
        if (step != STEP_EXTRA) {
            j--;
            w->place[j] = i - 1;
            w->missing[j] = step != STEP_BOTH;
        }
        if (step != STEP_MISSING) {
            i--;
            w->wrong[i] = step != STEP_BOTH;
        }
    }
}

/* `answer` with the run from .. from + length in front of what is at `to`, into `moved`. */
static void move(const ter_work *w, int from, int length, int to) {
    int at = 0;
    if (to > from + length || to < from) {
        for (int i = 0; i <= w->n; i++) {
            if (i == to) {
                memcpy(w->moved + at, w->answer + from, (size_t)length * sizeof *w->moved);
                at += length;
            }
            if (i < w->n && (i < from || i >= from + length)) w->moved[at++] = w->answer[i];
        }
        return;
    }
    /* A place within the run itself: what follows it slips in front. */
    int after = length + to < w->n ? length + to : w->n, end = from + length;
    memcpy(w->moved, w->answer, (size_t)from * sizeof *w->moved);
    at = from;
    for (int i = end; i < after; i++) w->moved[at++] = w->answer[i];
    for (int i = from; i < end; i++) w->moved[at++] = w->answer[i];
    for (int i = after > end ? after : end; i < w->n; i++) w->moved[at++] = w->answer[i];
}

typedef struct best_move {
    int gain, length, from, to;
    bool any;
} best_move;

static bool is_better(const best_move *m, const best_move *than) {
    if (!than->any || m->gain != than->gain) return !than->any || m->gain > than->gain;
    if (m->length != than->length) return m->length > than->length;
    if (m->from != than->from) return m->from < than->from;
    return m->to < than->to;
}

/* All places for one run of the answer that equals the reference's from `target` on. */
static void try_run(ter_work *w, int from, int target, int length, int before, best_move *best) {
    int last = -1, wrong = 0, missing = 0;
    for (int k = 0; k < length; k++) wrong |= w->wrong[from + k], missing |= w->missing[target + k];
    if (!wrong || !missing) return;
    if (w->place[target] >= from && w->place[target] < from + length) return; /* it stands there already */
    for (int offset = -1; offset < length; offset++) {
        int to = target + offset == -1 ? 0 : w->place[target + offset] + 1;
        if (to == last) continue;
        last = to;
        move(w, from, length, to);
        best_move m = {before - band_distance(w, w->moved), length, from, to, true};
        w->n_tries++;
        if (!is_better(&m, best)) continue;
        *best = m;
        memcpy(w->best, w->moved, (size_t)w->n * sizeof *w->best);
    }
}

/* Makes the best move; returns how much the edit distance fell, 0 or less: no move was made or none helps. */
static int make_move(ter_work *w) {
    best_move best = {0, 0, 0, 0, false};
    int before = band_distance(w, w->answer);
    trace_back(w);
    for (int from = 0; from < w->n && w->n_tries < TRIES_MAX; from++) {
        int first = from > FAR_MAX ? from - FAR_MAX : 0;
        for (int target = first; target < w->n_reference && target <= from + FAR_MAX; target++) {
            for (int length = 1; length <= MOVE_MAX; length++) {
                if (from + length > w->n || target + length > w->n_reference ||
                    w->answer[from + length - 1] != w->reference[target + length - 1])
                    break;
                try_run(w, from, target, length, before, &best);
                if (w->n_tries >= TRIES_MAX) break;
            }
            if (w->n_tries >= TRIES_MAX) break;
        }
    }
    if (w->n_tries >= TRIES_MAX || !best.any || best.gain <= 0) return 0;
    memcpy(w->answer, w->best, (size_t)w->n * sizeof *w->answer);
    return best.gain;
}

static hn_status count_edits(const hn_wordlist *answer, const hn_wordlist *reference, double *edits, hn_error *err) {
    *edits = (double)answer->n;
    if (reference->n == 0) return HN_OK;
    if (answer->n == 0) {
        *edits = (double)reference->n;
        return HN_OK;
    }
    ter_work w;
    HN_TRY(work_make(&w, answer, reference, err));
    int n_moves = 0;
    while (make_move(&w) > 0) n_moves++;
    *edits = n_moves + band_distance(&w, w.answer);
    work_free(&w);
    return HN_OK;
}

static hn_status take(hn_wordlist *w, hn_str text, hn_error *err) {
    HN_TRY(hn_wordlist_split_lower(w, text, err));
    if (w->n > HN_TER_WORDS_MAX)
        return hn_fail(err, HN_ERR_LIMIT, NULL, "shorten the text, or use chrF", "TER of %zu words, the limit is %d",
                       w->n, HN_TER_WORDS_MAX);
    return HN_OK;
}

hn_status hn_ter_add(hn_ter_counts *counts, hn_str answer, const hn_str *references, size_t n_references,
                     hn_error *err) {
    if (n_references == 0)
        return hn_fail(err, HN_ERR_USAGE, "references", "give at least one", "there is no reference to compare with");
    hn_wordlist a = {0}, r = {0};
    double least = INFINITY, edits, n_words = 0;
    hn_status st = take(&a, answer, err);
    for (size_t i = 0; i < n_references && st == HN_OK; i++) {
        st = take(&r, references[i], err);
        if (st == HN_OK) st = count_edits(&a, &r, &edits, err);
        if (st != HN_OK) break;
        least = fmin(least, edits);
        n_words += (double)r.n;
    }
    if (st == HN_OK) {
        counts->edits += least;
        counts->n_words += n_words / (double)n_references;
    }
    hn_wordlist_free(&a);
    hn_wordlist_free(&r);
    return st;
}

double hn_ter_score(const hn_ter_counts *counts) {
    if (counts->n_words > 0) return 100 * counts->edits / counts->n_words;
    return counts->edits > 0 ? 100 : 0;
}

hn_status hn_ter_sentence(hn_str answer, const hn_str *references, size_t n_references, double *score, hn_error *err) {
    hn_ter_counts counts = {0, 0};
    HN_TRY(hn_ter_add(&counts, answer, references, n_references, err));
    *score = hn_ter_score(&counts);
    return HN_OK;
}
