/* Inside the ladder: what its files share. Not for other modules; ladder.h is the interface.
 *
 *     ladder.c         gathering cases, the order of rungs, marking       ladder_store.c  what is kept, by content
 *     ladder_rungs.c   rungs that take no model                           ladder_probe.c  the linear probe
 *     ladder_prompt.c  zero-shot and few-shot                             ladder_curve.c  learning curves and out-of-fold answers
 *     ladder_json.c    for programs
 *
 * Threading: one thread. */
#ifndef HN_LIFECYCLE_LADDER_PARTS_H
#define HN_LIFECYCLE_LADDER_PARTS_H

#include "base/buf.h"
#include "base/str.h"
#include "base/thread.h"
#include "lifecycle/scope/ladder.h"

enum { HN_LADDER_FOLDS = 5, HN_LADDER_LATENCY_CASES = 64, HN_LADDER_SEED = 7 };

typedef struct hn_ladder_work {
    const hn_ladder_setup *setup;
    const hn_scope *scope;
    const hn_contract *contract;
    hn_store *store; /* NULL: none */
    hn_ladder *out;
    const hn_case **cases; /* (n_train + n_dev) those learnt from, then those answered */
    hn_str *texts;         /* (n_train + n_dev) */
    int32_t *labels;       /* (n_train + n_dev); -1 unless the contract is a choice */
    uint32_t *groups;      /* (n_train + n_dev) ids: equal for related cases */
    size_t n_train, n_dev;
    uint32_t *numbers; /* (n_train + n_dev) 0, 1, 2 ...: all training cases are the first n_train, dev's follow */
    hn_buf text;
    hn_pool *pool;
    /* the probe's */
    float *vectors; /* (n_train + n_dev, n_dims); NULL: not there */
    int vectors_of; /* whose: index of the setup's model */
    size_t n_dims;
    double strength;
} hn_ladder_work;

/* Learns from the cases `train` and answers the cases `asked`, both indices into the work's arrays. An answer is a label, or where the contract
 * is no choice the index of the training case whose target it repeats; -1: none. */
typedef hn_status hn_ladder_learn_fn(hn_ladder_work *w, const uint32_t *train, size_t n_train, const uint32_t *asked,
                                     size_t n_asked, int32_t *answers, hn_error *err);
/* The function of a rung that learns; NULL: it does not. */
hn_ladder_learn_fn *hn_ladder_learner(hn_rung_kind kind);
hn_ladder_learn_fn hn_ladder_learn_probe;

/* ladder.c */
void hn_ladder_tell(hn_ladder_work *w, const char *what, size_t done, size_t total);
/* hone.yaml's target where it is about accuracy or macro F1, which the ladder measures; else NaN. */
double hn_ladder_target(const hn_ladder_work *w);
bool hn_ladder_is_right(const hn_ladder_work *w, size_t item, int32_t answer);
void hn_ladder_leave_out(hn_ladder_work *w, const char *name, const char *reason);
/* A rung with room for n answers, the next of the ladder; counted once hn_ladder_finish_rung has its figures. */
hn_status hn_ladder_begin_rung(hn_ladder_work *w, hn_rung_kind kind, int provider, size_t n, hn_rung **rung,
                               hn_error *err) HN_MUST_CHECK;
hn_status hn_ladder_finish_rung(hn_ladder_work *w, hn_rung *rung, hn_error *err) HN_MUST_CHECK;

/* ladder_store.c: keys are made of everything that decides a result. `extra` (may be NULL) is what distinguishes further. */
hn_status hn_ladder_key(const hn_ladder_work *w, const char *what, const hn_rung *rung, const char *extra, size_t n_dev,
                        char key[65], hn_error *err) HN_MUST_CHECK;
/* *value NULL: nothing is kept. */
hn_status hn_ladder_get(const hn_ladder_work *w, const char *key, json_t **value, hn_error *err) HN_MUST_CHECK;
/* Keeps `value` where there is a store that can be written; takes the reference over; NULL is HN_ERR_MEMORY. */
hn_status hn_ladder_keep(const hn_ladder_work *w, const char *key, json_t *value, hn_error *err) HN_MUST_CHECK;
bool hn_ladder_read_rung(const json_t *kept, bool answers, hn_rung *rung);
json_t *hn_ladder_write_rung(const hn_rung *rung);
/* "0110...", one digit a case. */
json_t *hn_ladder_digits(const unsigned char *right, size_t n);
bool hn_ladder_read_digits(const json_t *text, unsigned char *right, size_t n);
json_t *hn_ladder_numbers(const int32_t *values, size_t n);
bool hn_ladder_read_numbers(const json_t *list, int32_t *values, size_t n);

/* ladder_rungs.c */
hn_status hn_ladder_cheap_rungs(hn_ladder_work *w, hn_error *err) HN_MUST_CHECK;
/* ladder_probe.c */
hn_status hn_ladder_probe(hn_ladder_work *w, int provider, hn_error *err) HN_MUST_CHECK;
/* Before hn_ladder_learn_probe: vectors and strength of this rung into the work. */
hn_status hn_ladder_need_vectors(hn_ladder_work *w, const hn_rung *rung, hn_error *err) HN_MUST_CHECK;
/* ladder_prompt.c */
hn_status hn_ladder_prompts(hn_ladder_work *w, int provider, hn_error *err) HN_MUST_CHECK;
/* ladder_curve.c */
hn_status hn_ladder_curve(hn_ladder_work *w, const hn_rung *rung, hn_error *err) HN_MUST_CHECK;
hn_status hn_ladder_narrow(hn_ladder_work *w, hn_error *err) HN_MUST_CHECK;
/* Folds 0 .. HN_LADDER_FOLDS-1 for the training cases, whole groups together, labels spread. */
hn_status hn_ladder_folds(const hn_ladder_work *w, int n_folds, uint8_t *folds, hn_error *err) HN_MUST_CHECK;

#endif
