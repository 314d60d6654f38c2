/* Splits; see dataset.h. Units (a group, or equal inputs) are dealt out one by one, largest first and otherwise in seeded
 * hash order: each goes where it least exceeds what a split may have of its classes, and among those to the split that
 * lags furthest behind its share. Then units move while that brings the counts nearer to the wanted ones, which matters
 * for groups of several cases. All of it depends on hashes and counts alone, so the rows' order cannot matter. */
#include "project/dataset.h"

#include "base/hash.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const split_names[HN_SPLIT_COUNT] = {"train", "dev", "test"};

const char *hn_split_name(hn_split split) { return (unsigned)split < HN_SPLIT_COUNT ? split_names[split] : "?"; }

bool hn_split_parse(const char *name, hn_split *split) {
    for (int i = 0; i < HN_SPLIT_COUNT; i++) {
        if (strcmp(name, split_names[i]) != 0) continue;
        *split = (hn_split)i;
        return true;
    }
    return false;
}

/* A case that waits for its split: members of a unit share `unit`. */
typedef struct member {
    uint64_t unit;
    uint32_t index, class;
} member;

typedef struct unit {
    uint64_t hash;
    size_t first, n; /* its members */
    int split;
} unit;

typedef struct dealer {
    hn_dataset *d;
    double shares[HN_SPLIT_COUNT];
    member *members;
    size_t n_members;
    unit *units;
    size_t n_units;
    const char **classes; /* (n_classes) sorted targets */
    size_t n_classes;
    double *want; /* (n_classes + 1, splits): cases of a class in a split; the last row is for all classes */
    double *have; /* the same, so far: whole numbers */
} dealer;

static int compare_targets(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static const char *class_of(const hn_case *c) { return c->target ? c->target : ""; }

static int compare_members(const void *a, const void *b) {
    const member *x = a, *y = b;
    if (x->unit != y->unit) return x->unit < y->unit ? -1 : 1;
    return (x->class > y->class) - (x->class < y->class);
}

static int compare_units(const void *a, const void *b) {
    const unit *x = a, *y = b;
    if (x->n != y->n) return x->n > y->n ? -1 : 1;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

static uint64_t unit_of(const hn_case *c, uint64_t seed) {
    if (c->group) return hn_hash64(c->group, strlen(c->group), seed);
    return hn_hash64(&c->input_hash, sizeof c->input_hash, seed ^ 0x9E3779B97F4A7C15u);
}

static void find_classes(dealer *k, bool stratify) {
    for (size_t i = 0; i < k->n_members; i++)
        k->classes[i] = stratify ? class_of(&k->d->cases[k->members[i].index]) : "";
    qsort(k->classes, k->n_members, sizeof *k->classes, compare_targets);
    for (size_t i = 0; i < k->n_members; i++)
        if (i == 0 || strcmp(k->classes[i], k->classes[k->n_classes - 1]) != 0)
            k->classes[k->n_classes++] = k->classes[i];
    for (size_t i = 0; i < k->n_members; i++) {
        const char *name = stratify ? class_of(&k->d->cases[k->members[i].index]) : "";
        const char **found = bsearch(&name, k->classes, k->n_classes, sizeof *k->classes, compare_targets);
        k->members[i].class = (uint32_t)(found - k->classes);
    }
}

static void find_units(dealer *k) {
    qsort(k->members, k->n_members, sizeof *k->members, compare_members);
    for (size_t i = 0; i < k->n_members; i++) {
        if (i == 0 || k->members[i].unit != k->members[i - 1].unit)
            k->units[k->n_units++] = (unit){k->members[i].unit, i, 0, 0};
        k->units[k->n_units - 1].n++;
    }
    qsort(k->units, k->n_units, sizeof *k->units, compare_units);
}

static void set_wanted(dealer *k) {
    for (int s = 0; s < HN_SPLIT_COUNT; s++) {
        double share = k->shares[s];
        for (size_t i = 0; i < k->n_members; i++)
            k->want[k->members[i].class * (size_t)HN_SPLIT_COUNT + (size_t)s] += share;
        k->want[k->n_classes * HN_SPLIT_COUNT + (size_t)s] = share * (double)k->n_members;
    }
}

/* The next class of a unit's members (which are sorted by class) from *i on, and how many there are. */
static bool next_class(const dealer *k, const unit *u, size_t *i, size_t *class, double *n) {
    size_t end = u->first + u->n, start = *i;
    if (start >= end) return false;
    *class = k->members[start].class;
    while (*i < end && k->members[*i].class == *class) ++*i;
    *n = (double)(*i - start);
    return true;
}

/* How many of the unit's cases would be too many of their class in split `s`: past its share, rounded up. */
static double excess_of(const dealer *k, const unit *u, int s) {
    double excess = 0, n;
    size_t class;
    for (size_t i = u->first; next_class(k, u, &i, &class, &n);) {
        size_t at = class * HN_SPLIT_COUNT + (size_t)s;
        double over = k->have[at] + n - ceil(k->want[at] - 1e-6);
        excess += fmin(n, fmax(0, over));
    }
    return excess;
}

/* Adds the unit to split `s`, or with sign -1 takes it away. */
static void count_unit(dealer *k, const unit *u, int s, int sign) {
    double n;
    size_t class;
    for (size_t i = u->first; next_class(k, u, &i, &class, &n);)
        k->have[class * HN_SPLIT_COUNT + (size_t)s] += sign * n;
    k->have[k->n_classes * HN_SPLIT_COUNT + (size_t)s] += sign * (double)u->n;
}

static void deal(dealer *k, unit *u) {
    int best = -1;
    double best_excess = 0, best_level = 0;
    for (int s = 0; s < HN_SPLIT_COUNT; s++) {
        if (k->shares[s] <= 0) continue;
        double excess = excess_of(k, u, s);
        double level = (k->have[k->n_classes * HN_SPLIT_COUNT + (size_t)s] + (double)u->n) / k->shares[s];
        if (best >= 0 && (excess > best_excess || (excess == best_excess && level >= best_level))) continue;
        best = s;
        best_excess = excess;
        best_level = level;
    }
    u->split = best;
    count_unit(k, u, best, 1);
}

/* By how much the squared distance of a row of counts from the wanted ones changes when `n` cases go from one split to another. */
static double change_of(const dealer *k, size_t row, double n, int from, int to) {
    size_t a = row * HN_SPLIT_COUNT + (size_t)from, b = row * HN_SPLIT_COUNT + (size_t)to;
    return 2 * n * ((k->have[b] - k->want[b]) - (k->have[a] - k->want[a]) + n);
}

static bool try_move(dealer *k, unit *u) {
    int best = -1;
    double best_change = -1e-6;
    for (int s = 0; s < HN_SPLIT_COUNT; s++) {
        if (k->shares[s] <= 0 || s == u->split) continue;
        double change = change_of(k, k->n_classes, (double)u->n, u->split, s), n;
        size_t class;
        for (size_t i = u->first; next_class(k, u, &i, &class, &n);) change += change_of(k, class, n, u->split, s);
        if (change >= best_change) continue;
        best = s;
        best_change = change;
    }
    if (best < 0) return false;
    count_unit(k, u, u->split, -1);
    count_unit(k, u, best, 1);
    u->split = best;
    return true;
}

enum { MAX_ROUNDS = 20 };

static void settle(dealer *k) {
    bool moved = true;
    for (int round = 0; moved && round < MAX_ROUNDS; round++) {
        moved = false;
        for (size_t i = k->n_units; i-- > 0;) moved = try_move(k, &k->units[i]) || moved; /* small ones first */
    }
}

static hn_status deal_all(dealer *k, uint64_t seed, bool stratify, hn_error *err) {
    size_t n = k->d->n_cases;
    k->members = hn_calloc(n, sizeof *k->members);
    k->units = hn_calloc(n, sizeof *k->units);
    k->classes = hn_calloc(n, sizeof *k->classes);
    if (!k->members || !k->units || !k->classes) return hn_fail_memory(err, n * sizeof *k->members);
    for (size_t i = 0; i < n; i++)
        if (!k->d->cases[i].split_fixed)
            k->members[k->n_members++] = (member){unit_of(&k->d->cases[i], seed), (uint32_t)i, 0};
    if (k->n_members == 0) return HN_OK;
    find_classes(k, stratify);
    k->want = hn_calloc(k->n_classes + 1, HN_SPLIT_COUNT * sizeof *k->want);
    k->have = hn_calloc(k->n_classes + 1, HN_SPLIT_COUNT * sizeof *k->have);
    if (!k->want || !k->have) return hn_fail_memory(err, k->n_classes * sizeof *k->want);
    find_units(k);
    set_wanted(k);
    for (size_t i = 0; i < k->n_units; i++) deal(k, &k->units[i]);
    settle(k);
    for (size_t i = 0; i < k->n_units; i++)
        for (size_t m = 0; m < k->units[i].n; m++)
            k->d->cases[k->members[k->units[i].first + m].index].split = (hn_split)k->units[i].split;
    return HN_OK;
}

hn_status hn_dataset_split(hn_dataset *dataset, double train, double dev, double test, uint64_t seed, bool stratify,
                           hn_error *err) {
    dealer k = {.d = dataset, .shares = {train, dev, test}};
    double sum = 0;
    for (int s = 0; s < HN_SPLIT_COUNT; s++) {
        if (!(k.shares[s] >= 0 && k.shares[s] <= 1))
            return hn_fail(err, HN_ERR_INPUT, "split", "shares lie between 0 and 1", "the share of %s is %g",
                           split_names[s], k.shares[s]);
        sum += k.shares[s];
    }
    if (fabs(sum - 1) > 1e-6)
        return hn_fail(err, HN_ERR_INPUT, "split", "such as {train: 0.5, dev: 0.25, test: 0.25}",
                       "the shares add up to %g instead of 1", sum);
    hn_status st = deal_all(&k, seed, stratify, err);
    dataset->split_seed = seed;
    hn_free(k.members);
    hn_free(k.units);
    hn_free(k.classes);
    hn_free(k.want);
    hn_free(k.have);
    return st;
}

typedef struct ranked {
    uint64_t hash;
    const char *id;
    uint32_t index;
} ranked;

static int compare_ranked(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
    return strcmp(x->id, y->id);
}

hn_status hn_dataset_select(const hn_dataset *dataset, hn_split split, uint32_t **indices, size_t *n, hn_error *err) {
    ranked *rows = hn_calloc(dataset->n_cases, sizeof *rows);
    *indices = hn_calloc(dataset->n_cases, sizeof **indices);
    *n = 0;
    if (!rows || !*indices) {
        hn_free(rows);
        hn_free(*indices);
        *indices = NULL;
        return hn_fail_memory(err, dataset->n_cases * sizeof *rows);
    }
    for (size_t i = 0; i < dataset->n_cases; i++) {
        const hn_case *c = &dataset->cases[i];
        if (c->split == split)
            rows[(*n)++] = (ranked){hn_hash64(c->id, strlen(c->id), dataset->split_seed), c->id, (uint32_t)i};
    }
    qsort(rows, *n, sizeof *rows, compare_ranked);
    for (size_t i = 0; i < *n; i++) (*indices)[i] = rows[i].index;
    hn_free(rows);
    return HN_OK;
}
