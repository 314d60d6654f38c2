/* Template-like text: cases that are written by a form, so that many rows say little more than one. A passage of PASSAGE words that at least
 * ROWS_MIN cases share is part of a frame; a case is template-like where frames hold half of its words or more. Copies of a text
 * count once, so that duplicates are not reported a second time. */
#include "lifecycle/scope/audit_parts.h"

#include "base/hash.h"
#include "text/wordlist.h"

#include <stdlib.h>
#include <string.h>

enum { PASSAGE = 7, ROWS_MIN = 5, WORDS_MIN = 14, ROWS_MAX = 50000, TEXT_BYTES_MAX = 20000 };

typedef struct passage {
    uint64_t hash;
    uint32_t row, n; /* the first row it is in; rows it is in */
} passage;

typedef struct frames {
    const hn_audit_texts *texts;
    uint32_t *rows; /* (n_rows) one of each text */
    size_t n_rows;
    hn_wordlist words;
    passage *items; /* (n) sorted by hash once counted */
    size_t n, capacity;
    uint64_t *own; /* of one text */
    size_t own_capacity;
    hn_error *err;
} frames;

static int by_hash(const void *a, const void *b) {
    const passage *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return (x->row > y->row) - (x->row < y->row);
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static hn_status take_words(frames *f, uint32_t row) {
    hn_str text = f->texts->texts[row];
    if (text.len > TEXT_BYTES_MAX) text.len = TEXT_BYTES_MAX;
    return hn_wordlist_plain(&f->words, text, f->err);
}

static uint64_t passage_at(const frames *f, size_t i) {
    return hn_hash64(f->words.hashes + i, PASSAGE * sizeof *f->words.hashes, 0);
}

/* One of each text: keys sorted, first rows kept; then in the files' order again. */
static hn_status choose_rows(frames *f) {
    size_t n = f->texts->n;
    passage *keys = hn_calloc(n + 1, sizeof *keys);
    f->rows = hn_calloc(n + 1, sizeof *f->rows);
    if (!keys || !f->rows) {
        hn_free(keys);
        return hn_fail_memory(f->err, n * sizeof *keys);
    }
    for (size_t i = 0; i < n; i++) keys[i] = (passage){f->texts->keys[i], (uint32_t)i, 0};
    qsort(keys, n, sizeof *keys, by_hash);
    for (size_t i = 0; i < n; i++) keys[keys[i].row].n = i == 0 || keys[i].hash != keys[i - 1].hash;
    for (size_t i = 0; i < n && f->n_rows < ROWS_MAX; i++)
        if (keys[i].n && f->texts->keys[i]) f->rows[f->n_rows++] = (uint32_t)i;
    hn_free(keys);
    return HN_OK;
}

static hn_status count_passages(frames *f) {
    for (size_t r = 0; r < f->n_rows; r++) {
        HN_TRY(take_words(f, f->rows[r]));
        if (f->words.n < WORDS_MIN) continue;
        size_t n = f->words.n - PASSAGE + 1;
        if (!hn_grow((void **)&f->own, &f->own_capacity, n, sizeof *f->own) ||
            !hn_grow((void **)&f->items, &f->capacity, f->n + n, sizeof *f->items))
            return hn_fail_memory(f->err, (f->n + n) * sizeof *f->items);
        for (size_t i = 0; i < n; i++) f->own[i] = passage_at(f, i);
        qsort(f->own, n, sizeof *f->own, by_value);
        for (size_t i = 0; i < n; i++)
            if (i == 0 || f->own[i] != f->own[i - 1]) f->items[f->n++] = (passage){f->own[i], f->rows[r], 1};
    }
    if (f->n) qsort(f->items, f->n, sizeof *f->items, by_hash);
    size_t kept = 0;
    for (size_t i = 0, end; i < f->n; i = end) {
        for (end = i + 1; end < f->n && f->items[end].hash == f->items[i].hash;) end++;
        if (end - i < ROWS_MIN) continue;
        f->items[kept] = f->items[i];
        f->items[kept++].n = (uint32_t)(end - i);
    }
    f->n = kept;
    return HN_OK;
}

static const passage *find_passage(const frames *f, uint64_t hash) {
    size_t low = 0, high = f->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (f->items[middle].hash < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low < f->n && f->items[low].hash == hash ? &f->items[low] : NULL;
}

static hn_status judge(frames *f, uint32_t row, hn_audit *audit) {
    HN_TRY(take_words(f, row));
    if (f->words.n < WORDS_MIN) return HN_OK;
    size_t covered = 0, covered_to = 0;
    const passage *common = NULL;
    for (size_t i = 0; i < f->words.n; i++) {
        const passage *p = i + PASSAGE <= f->words.n ? find_passage(f, passage_at(f, i)) : NULL;
        if (p) covered_to = i + PASSAGE;
        if (p && (!common || p->n > common->n)) common = p;
        covered += i < covered_to;
    }
    if (!common || 2 * covered < f->words.n) return HN_OK;
    const hn_case *c = &f->texts->dataset->cases[row], *first = &f->texts->dataset->cases[common->row];
    size_t percent = 100 * covered / f->words.n;
    if (first == c)
        return hn_audit_add(audit, HN_AUDIT_TEMPLATE, c, f->err, "%zu %% of its words stand in %u other cases alike",
                            percent, common->n - 1);
    return hn_audit_add(audit, HN_AUDIT_TEMPLATE, c, f->err,
                        "%zu %% of its words stand in %u other cases alike, as in %.80s:%d", percent, common->n - 1,
                        first->file, first->line);
}

hn_status hn_audit_templates(const hn_audit_texts *texts, const hn_dataset *dataset, hn_audit *audit, hn_error *err) {
    frames f = {.texts = texts, .err = err};
    hn_status st = choose_rows(&f);
    if (st == HN_OK) st = count_passages(&f);
    for (size_t r = 0; st == HN_OK && f.n && r < f.n_rows; r++) st = judge(&f, f.rows[r], audit);
    if (st == HN_OK && dataset->n_cases > ROWS_MAX && f.n_rows == ROWS_MAX)
        st = hn_audit_add_limit(audit, err, "template-like text was looked for in the first %d different texts",
                                ROWS_MAX);
    hn_free(f.rows);
    hn_free(f.items);
    hn_free(f.own);
    hn_wordlist_free(&f.words);
    return st;
}
