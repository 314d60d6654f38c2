/* A new model in the store; see scratch_base.h. */
#include "lifecycle/tune/scratch_base.h"

#include "base/hash.h"
#include "lifecycle/tune/tokenizer_train.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <string.h>

enum { TOKENIZER_BYTES_MAX = 256 << 20 };
static const char *const specials[] = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};

typedef struct making {
    const hn_scratch_setup *s;
    hn_scratch_base *base;
    char *json, *config; /* of the tokenizer */
    size_t n_json, n_config;
    hn_error *err;
} making;

/* ---- the tokenizer ---- */

/* A vocabulary is a matrix: about one token for 200 bytes of text, within what is useful. */
static uint32_t vocab_for(uint64_t n_bytes) {
    uint64_t n = n_bytes / 200 / 256 * 256;
    return n < 512 ? 512 : n > 16384 ? 16384 : (uint32_t)n;
}

static hn_status learn_tokenizer(making *m) {
    const hn_text_corpus *c = m->s->texts;
    hn_tokenizer_result r;
    hn_tokenizer_options o = {.specials = specials, .n_specials = 3, .cut = HN_CUT_SMOLLM, .min_count = 2};
    o.n_vocab = m->s->n_vocab ? m->s->n_vocab : vocab_for(c->n_bytes - c->n_held_out_bytes);
    HN_TRY(hn_tokenizer_train(c, &o, &r, m->err));
    m->n_json = r.json.len;
    m->n_config = r.config.len;
    m->json = hn_buf_take(&r.json);
    m->config = hn_buf_take(&r.config);
    m->base->plan.n_vocab = (int)r.n_vocab;
    m->base->n_tokens = r.n_tokens;
    m->base->learned_tokenizer = true;
    hn_tokenizer_result_free(&r);
    return m->json && m->config ? HN_OK : hn_fail_memory(m->err, m->n_json);
}

static hn_status read_tokenizer(making *m) {
    char path[HN_PATH_MAX], folder[HN_PATH_MAX], config[HN_PATH_MAX];
    const char *given = m->s->tokenizer;
    hn_tokenizer *t;
    if (hn_file_is_dir(given)) {
        snprintf(folder, sizeof folder, "%s", given);
        HN_TRY(hn_path_join(path, given, "tokenizer.json", m->err));
    } else {
        hn_path_dir(given, folder);
        snprintf(path, sizeof path, "%s", given);
    }
    HN_TRY(hn_file_read(path, TOKENIZER_BYTES_MAX, &m->json, &m->n_json, m->err));
    HN_TRY(hn_path_join(config, folder, "tokenizer_config.json", m->err));
    if (hn_file_exists(config)) HN_TRY(hn_file_read(config, TOKENIZER_BYTES_MAX, &m->config, &m->n_config, m->err));
    HN_TRY(hn_tokenizer_from_json(m->json, m->n_json, path, &t, m->err));
    m->base->plan.n_vocab = hn_tokenizer_vocab_size(t);
    m->base->n_tokens = (m->s->texts->n_bytes - m->s->texts->n_held_out_bytes) / 4;
    hn_tokenizer_free(t);
    return HN_OK;
}

/* ---- the model ---- */

static hn_status name_folder(making *m) {
    char models[HN_PATH_MAX], name[32], hex[HN_SHA256_HEX];
    const hn_model_plan *p = &m->base->plan;
    const int sizes[] = {p->n_layers, p->n_embd, p->n_heads, p->n_kv_heads, p->n_ff, p->n_context, p->n_vocab, p->tied};
    hn_sha256 *h = hn_sha256_create();
    if (!h) return hn_fail_memory(m->err, 0);
    hn_sha256_field(h, m->json, m->n_json);
    hn_sha256_field(h, m->config, m->n_config);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) hn_sha256_field_i64(h, sizes[i]);
    hn_sha256_field_i64(h, (int64_t)m->s->seed);
    hn_sha256_finish(h, hex);
    snprintf(name, sizeof name, "scratch-%.16s", hex);
    HN_TRY(hn_path_join(models, m->s->store_dir, "models", m->err));
    return hn_path_join(m->base->folder, models, name, m->err);
}

static hn_status make_model(making *m) {
    char path[HN_PATH_MAX];
    int n_vocab = m->base->plan.n_vocab;
    m->base->plan = hn_model_plan_default(m->base->n_tokens, n_vocab);
    if (m->s->shape) HN_TRY(hn_model_plan_parse(m->s->shape, &m->base->plan, m->err));
    HN_TRY(name_folder(m));
    HN_TRY(hn_path_join(path, m->base->folder, "config.json", m->err));
    if (hn_file_exists(path)) return HN_OK;
    hn_model_texts texts = {m->json, m->n_json, m->config, m->n_config};
    return hn_model_create(m->base->folder, &m->base->plan, &texts, m->s->seed, m->err);
}

hn_status hn_scratch_base_make(const hn_scratch_setup *setup, hn_scratch_base *base, hn_error *err) {
    making m = {.s = setup, .base = base, .err = err};
    memset(base, 0, sizeof *base);
    hn_status st = setup->tokenizer ? read_tokenizer(&m) : learn_tokenizer(&m);
    if (st == HN_OK) st = make_model(&m);
    hn_free(m.json);
    hn_free(m.config);
    return st;
}
