/* Learning a tokenizer; see tokenizer_train.h. */
#include "lifecycle/tune/tokenizer_train.h"

#include "base/clock.h"
#include "base/interrupt.h"
#include "model/tokenizer.h"

#include <math.h>
#include <string.h>

typedef struct training {
    const hn_text_corpus *corpus;
    const hn_tokenizer_options *o;
    hn_tokenizer_result *r;
    hn_bpe_counter *words;
    hn_bpe bpe;
    hn_error *err;
} training;

/* ---- words ---- */

static hn_status count_words(training *t) {
    HN_TRY(hn_bpe_counter_create(t->o->cut, &t->words, t->err));
    for (size_t i = 0; i < t->corpus->n; i++) {
        const hn_document *d = &t->corpus->documents[i];
        if (!d->held_out) HN_TRY(hn_bpe_counter_add(t->words, d->text.data, d->text.len, t->err));
        if (i % 256 == 0) HN_TRY(hn_interrupt_check(t->err));
    }
    t->r->n_words = hn_bpe_counter_words(t->words)->n;
    return HN_OK;
}

static void on_token(void *user, uint32_t n) {
    training *t = user;
    t->o->on_token(t->o->user, n + (uint32_t)t->o->n_specials, t->o->n_vocab);
}

static hn_status learn(training *t) {
    double from = hn_clock_seconds();
    if (t->o->n_vocab < 256 + t->o->n_specials || t->o->n_vocab > HN_BPE_TOKENS_MAX)
        return hn_fail(t->err, HN_ERR_USAGE, "--vocab", "such as 4096",
                       "a vocabulary of %u: it must be %zu (256 bytes and %zu control tokens) to %d", t->o->n_vocab,
                       256 + t->o->n_specials, t->o->n_specials, HN_BPE_TOKENS_MAX);
    HN_TRY(hn_tokenizer_check_specials(t->o->specials, t->o->n_specials, t->o->cut, t->err));
    HN_TRY(count_words(t));
    hn_bpe_options options = {.n_tokens = t->o->n_vocab - (uint32_t)t->o->n_specials,
                              .min_count = t->o->min_count,
                              .progress = t->o->on_token ? on_token : NULL,
                              .user = t};
    HN_TRY(hn_bpe_train(hn_bpe_counter_words(t->words), &options, &t->bpe, t->err));
    t->r->seconds = hn_clock_seconds() - from;
    t->r->n_vocab = t->bpe.tokens.n + t->o->n_specials;
    t->r->n_merges = t->bpe.n_merges;
    t->r->n_bytes = (uint64_t)t->bpe.n_corpus_bytes;
    t->r->n_tokens = (uint64_t)t->bpe.n_corpus_tokens;
    hn_tokenizer_spec spec = {&t->bpe, t->o->specials, t->o->n_specials, t->o->cut};
    HN_TRY(hn_tokenizer_write_json(&spec, &t->r->json, t->err));
    return hn_tokenizer_write_config(&spec, &t->r->config, t->err);
}

/* ---- the held-out texts ---- */

typedef struct sizes {
    double *bytes, *tokens; /* (n) */
} sizes;

static double ratio(const uint32_t *cases, size_t n, void *user) {
    const sizes *s = user;
    double bytes = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) bytes += s->bytes[cases[i]], tokens += s->tokens[cases[i]];
    return tokens > 0 ? bytes / tokens : (double)NAN;
}

/* Its number of tokens; the text must come back from them. */
static hn_status encode_one(training *t, const hn_tokenizer *tokenizer, hn_str text, hn_tokens *ids, hn_buf *back) {
    ids->n = 0;
    hn_buf_clear(back);
    HN_TRY(hn_tokenizer_encode(tokenizer, text.data, text.len, 0, ids, t->err));
    HN_TRY(hn_tokenizer_decode(tokenizer, ids->ids, ids->n, true, false, back, t->err));
    HN_TRY(hn_buf_check(back, "a text from its tokens", t->err));
    if (back->len == text.len && memcmp(hn_buf_str(back), text.data, text.len) == 0) return HN_OK;
    return hn_fail(t->err, HN_ERR_INTERNAL, "tokenizer.json", NULL, "a text does not come back from its tokens");
}

static hn_status measure(training *t, const hn_tokenizer *tokenizer, sizes *s) {
    hn_tokens ids = {0};
    hn_buf back;
    size_t n = 0;
    hn_status st = HN_OK;
    hn_buf_init(&back, 0);
    for (size_t i = 0; st == HN_OK && i < t->corpus->n; i++) {
        const hn_document *d = &t->corpus->documents[i];
        if (!d->held_out) continue;
        st = encode_one(t, tokenizer, d->text, &ids, &back);
        s->bytes[n] = (double)d->text.len;
        s->tokens[n++] = (double)ids.n;
        t->r->n_held_bytes += d->text.len;
        t->r->n_held_tokens += ids.n;
        if (st == HN_OK && i % 64 == 0) st = hn_interrupt_check(t->err);
    }
    hn_tokens_free(&ids);
    hn_buf_free(&back);
    if (st != HN_OK || n == 0) return st;
    return hn_bootstrap(ratio, s, n, NULL, NULL, &t->r->bytes_per_token, t->err);
}

static hn_status check_and_measure(training *t) {
    hn_tokenizer *tokenizer;
    hn_tokenizer_result *r = t->r;
    HN_TRY(hn_tokenizer_from_json(hn_buf_str(&r->json), r->json.len, "tokenizer.json", &tokenizer, t->err));
    size_t n = t->corpus->n_held_out;
    sizes s = {hn_calloc(n + 1, sizeof *s.bytes), hn_calloc(n + 1, sizeof *s.tokens)};
    hn_status st = s.bytes && s.tokens ? HN_OK : hn_fail_memory(t->err, n * sizeof *s.bytes);
    if (st == HN_OK)
        st = hn_tokenizer_apply_config(tokenizer, hn_buf_str(&r->config), r->config.len, "tokenizer_config.json",
                                       t->err);
    if (st == HN_OK) st = measure(t, tokenizer, &s);
    hn_free(s.bytes);
    hn_free(s.tokens);
    hn_tokenizer_free(tokenizer);
    return st;
}

hn_status hn_tokenizer_train(const hn_text_corpus *corpus, const hn_tokenizer_options *options,
                             hn_tokenizer_result *result, hn_error *err) {
    training t = {.corpus = corpus, .o = options, .r = result, .err = err};
    *result = (hn_tokenizer_result){.bytes_per_token = {(double)NAN, (double)NAN, (double)NAN}};
    hn_buf_init(&result->json, 0);
    hn_buf_init(&result->config, 0);
    hn_status st = learn(&t);
    hn_bpe_counter_free(t.words);
    hn_bpe_free(&t.bpe);
    if (st == HN_OK) st = check_and_measure(&t);
    if (st != HN_OK) hn_tokenizer_result_free(result);
    return st;
}

void hn_tokenizer_result_free(hn_tokenizer_result *r) {
    hn_buf_free(&r->json);
    hn_buf_free(&r->config);
}
