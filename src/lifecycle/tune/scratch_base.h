/* The new model that training from scratch begins with: its tokenizer, its shape, and random weights, kept in the store by what decides them.
 *
 *     hn_scratch_setup setup = {.store_dir = dir, .texts = corpus, .shape = "layers: 4, width: 128", .n_vocab = 2000, .seed = 1};
 *     hn_scratch_base base;
 *     HN_TRY(hn_scratch_base_make(&setup, &base, &err));              // STORE/models/scratch-0123456789abcdef
 *     HN_TRY(open(base.folder, ...));                                 // as any model
 *
 * The same texts, shape and seed give the same folder, which is made once. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_LIFECYCLE_SCRATCH_BASE_H
#define HN_LIFECYCLE_SCRATCH_BASE_H

#include "base/file.h"
#include "model/model_create.h"
#include "project/text_corpus.h"

typedef struct hn_scratch_setup {
    const char *store_dir;
    const char *tokenizer;       /* a tokenizer.json, or a folder with one; NULL: learned from `texts` */
    const hn_text_corpus *texts; /* what is trained on; held-out documents are not looked at */
    uint32_t n_vocab;            /* of a learned tokenizer; 0: by the size of the texts */
    const char *shape;           /* see hn_model_plan_parse; NULL: by the size of the texts */
    uint64_t seed;
} hn_scratch_setup;

typedef struct hn_scratch_base {
    char folder[HN_PATH_MAX];
    hn_model_plan plan;
    uint64_t n_tokens; /* of the texts, about */
    bool learned_tokenizer;
} hn_scratch_base;

/* Errors of hn_tokenizer_train, hn_model_plan_parse and hn_model_create. */
hn_status hn_scratch_base_make(const hn_scratch_setup *setup, hn_scratch_base *base, hn_error *err) HN_MUST_CHECK;

#endif
