/* Examples: the frozen pool of training cases, and picking from it; see prompt.h. What is random goes by the hash of (id, seed), so a pick depends
 * on neither the pool's order nor on which case came before. */
#include "project/prompt.h"

#include "base/hash.h"
#include "text/nearest.h"

#include <string.h>

struct hn_example_pool {
    const hn_case **cases; /* (n) labelled cases of the train split */
    size_t n;
    size_t n_labels;
    hn_nearest *index;
};

/* A case with its place in a seeded order. */
typedef struct ranked {
    uint64_t hash;
    const hn_case *c;
} ranked;

/* The first `capacity` of what was offered, in order. */
typedef struct shortlist {
    ranked *rows;
    size_t n, capacity;
} shortlist;

static bool may_show(const hn_case *example, const hn_case *c) {
    if (example == c || example->input_hash == c->input_hash) return false;
    if (example->id && c->id && strcmp(example->id, c->id) == 0) return false;
    return !(example->group && c->group && strcmp(example->group, c->group) == 0);
}

static bool before(const ranked *a, const ranked *b) {
    return a->hash != b->hash ? a->hash < b->hash : strcmp(a->c->id, b->c->id) < 0;
}

static void offer(shortlist *list, const hn_case *c, uint64_t seed) {
    ranked row = {hn_hash64(c->id, strlen(c->id), seed), c};
    if (list->n == list->capacity) {
        if (list->n == 0 || !before(&row, &list->rows[list->n - 1])) return;
        list->n--;
    }
    size_t at = list->n++;
    for (; at > 0 && before(&row, &list->rows[at - 1]); at--) list->rows[at] = list->rows[at - 1];
    list->rows[at] = row;
}

/* ---- the pool ---- */

/* Texts of all cases, one behind the other in `all`; starts (n + 1). */
static hn_status gather_texts(const hn_example_pool *pool, hn_buf *all, size_t *starts, hn_error *err) {
    for (size_t i = 0; i < pool->n; i++) {
        starts[i] = all->len;
        HN_TRY(hn_case_text(pool->cases[i], all, err));
    }
    starts[pool->n] = all->len;
    return HN_OK;
}

static hn_status make_index(hn_example_pool *pool, hn_error *err) {
    hn_buf all;
    hn_buf_init(&all, 0);
    size_t *starts = hn_calloc(pool->n + 1, sizeof *starts);
    hn_str *texts = hn_calloc(pool->n, sizeof *texts);
    hn_status st =
        starts && texts ? gather_texts(pool, &all, starts, err) : hn_fail_memory(err, pool->n * sizeof *texts);
    if (st == HN_OK) {
        for (size_t i = 0; i < pool->n; i++)
            texts[i] = (hn_str){hn_buf_str(&all) + starts[i], starts[i + 1] - starts[i]};
        st = hn_nearest_create(texts, pool->n, NULL, &pool->index, err);
    }
    hn_free(texts);
    hn_free(starts);
    hn_buf_free(&all);
    return st;
}

hn_status hn_example_pool_create(const hn_dataset *dataset, const hn_contract *contract, hn_example_pool **pool,
                                 hn_error *err) {
    *pool = NULL;
    uint32_t *indices;
    size_t n;
    HN_TRY(hn_dataset_select(dataset, HN_SPLIT_TRAIN, &indices, &n, err));
    hn_example_pool *made = hn_calloc(1, sizeof *made);
    if (made) made->cases = hn_calloc(n, sizeof *made->cases);
    hn_status st = made && made->cases ? HN_OK : hn_fail_memory(err, n * sizeof *made->cases);
    for (size_t i = 0; st == HN_OK && i < n; i++)
        if (dataset->cases[indices[i]].target) made->cases[made->n++] = &dataset->cases[indices[i]];
    hn_free(indices);
    if (st == HN_OK) {
        made->n_labels = contract->kind == HN_CONTRACT_CHOICE ? contract->n_labels : 0;
        st = make_index(made, err);
    }
    if (st == HN_OK)
        *pool = made;
    else
        hn_example_pool_free(made);
    return st;
}

void hn_example_pool_free(hn_example_pool *pool) {
    if (!pool) return;
    hn_nearest_free(pool->index);
    hn_free(pool->cases);
    hn_free(pool);
}

/* ---- picking ---- */

static void pick_fixed(const hn_example_pool *pool, const hn_prompt *p, const hn_case *c, const hn_case **picked,
                       size_t *n) {
    for (int k = 0; k < p->n_examples; k++)
        for (size_t i = 0; i < pool->n; i++)
            if (strcmp(pool->cases[i]->id, p->fixed_ids[k]) == 0 && may_show(pool->cases[i], c))
                picked[(*n)++] = pool->cases[i];
}

static hn_status pick_random(const hn_example_pool *pool, const hn_prompt *p, const hn_case *c, const hn_case **picked,
                             size_t *n, hn_error *err) {
    shortlist list = {.capacity = (size_t)p->n_examples};
    list.rows = hn_calloc(list.capacity, sizeof *list.rows);
    if (!list.rows) return hn_fail_memory(err, list.capacity * sizeof *list.rows);
    for (size_t i = 0; i < pool->n; i++)
        if (may_show(pool->cases[i], c)) offer(&list, pool->cases[i], p->example_seed);
    for (*n = 0; *n < list.n; ++*n) picked[*n] = list.rows[*n].c;
    hn_free(list.rows);
    return HN_OK;
}

/* Deals rounds: in each, every label's next case, the labels in the order of their first case's hash. */
static void deal_rounds(shortlist *lists, size_t n_lists, size_t wanted, const hn_case **picked, size_t *n) {
    for (size_t i = 1; i < n_lists; i++) /* insertion sort: few labels; those without cases go last */
        for (size_t k = i; k > 0 && lists[k].n && (!lists[k - 1].n || before(lists[k].rows, lists[k - 1].rows)); k--) {
            shortlist swapped = lists[k];
            lists[k] = lists[k - 1];
            lists[k - 1] = swapped;
        }
    bool more = true;
    for (size_t round = 0; more; round++) {
        more = false;
        for (size_t i = 0; i < n_lists; i++) {
            if (round >= lists[i].n) continue;
            if (*n == wanted) return;
            picked[(*n)++] = lists[i].rows[round].c;
            more = true;
        }
    }
}

static hn_status pick_balanced(const hn_example_pool *pool, const hn_prompt *p, const hn_case *c,
                               const hn_case **picked, size_t *n, hn_error *err) {
    size_t wanted = (size_t)p->n_examples, n_labels = pool->n_labels;
    shortlist *lists = hn_calloc(n_labels, sizeof *lists);
    ranked *rows = hn_calloc(n_labels, wanted * sizeof *rows);
    hn_status st = lists && rows ? HN_OK : hn_fail_memory(err, n_labels * wanted * sizeof *rows);
    if (st == HN_OK) {
        for (size_t i = 0; i < n_labels; i++) lists[i] = (shortlist){rows + i * wanted, 0, wanted};
        for (size_t i = 0; i < pool->n; i++) {
            const hn_case *e = pool->cases[i];
            if (e->label >= 0 && (size_t)e->label < n_labels && may_show(e, c))
                offer(&lists[e->label], e, p->example_seed);
        }
        deal_rounds(lists, n_labels, wanted, picked, n);
    }
    hn_free(lists);
    hn_free(rows);
    return st;
}

typedef struct nearest_filter {
    const hn_example_pool *pool;
    const hn_case *c;
} nearest_filter;

static bool accept(void *user, uint32_t id) {
    const nearest_filter *f = user;
    return may_show(f->pool->cases[id], f->c);
}

static hn_status pick_nearest(const hn_example_pool *pool, const hn_prompt *p, const hn_case *c, const hn_case **picked,
                              size_t *n, hn_error *err) {
    nearest_filter filter = {pool, c};
    uint32_t *ids = hn_calloc((size_t)p->n_examples, sizeof *ids);
    if (!ids) return hn_fail_memory(err, (size_t)p->n_examples * sizeof *ids);
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_status st = hn_case_text(c, &text, err);
    hn_str query = {hn_buf_str(&text), text.len};
    if (st == HN_OK)
        st = hn_nearest_find(pool->index, query, (size_t)p->n_examples, accept, &filter, ids, NULL, n, err);
    for (size_t i = 0; st == HN_OK && i < *n; i++)
        picked[*n - 1 - i] = pool->cases[ids[i]]; /* the most similar last: next to the question */
    hn_buf_free(&text);
    hn_free(ids);
    return st;
}

hn_status hn_example_pick(const hn_example_pool *pool, const hn_prompt *prompt, const hn_case *c,
                          const hn_case **picked, size_t *n_picked, hn_error *err) {
    *n_picked = 0;
    switch (prompt->pick) {
    case HN_PICK_NONE: return HN_OK;
    case HN_PICK_FIXED: pick_fixed(pool, prompt, c, picked, n_picked); return HN_OK;
    case HN_PICK_RANDOM: return pick_random(pool, prompt, c, picked, n_picked, err);
    case HN_PICK_BALANCED: return pick_balanced(pool, prompt, c, picked, n_picked, err);
    case HN_PICK_NEAREST: return pick_nearest(pool, prompt, c, picked, n_picked, err);
    }
    return HN_OK;
}
