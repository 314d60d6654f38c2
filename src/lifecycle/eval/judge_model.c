/* Asking a model to judge; see judge_model.h. */
#include "lifecycle/eval/judge_model.h"

#include "app/answer_cache.h"
#include "app/answer_parse.h"
#include "base/alloc.h"
#include "base/interrupt.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { IN_FLIGHT = 64, STEP_MS = 100, REMOTE_TOKENS = 16 };

struct hn_judge_model {
    hn_provider *provider;
    hn_provider_info info;
    bool own; /* to be closed */
    hn_answer_cache *cache;
};

typedef struct asking {
    hn_judge_model *m;
    const char *const *words;
    hn_request_label *labels;
    size_t n_words, n_pending;
    hn_answer_parser *parser; /* remote */
    hn_contract contract;
    double *probabilities; /* (n_words) scratch */
    hn_judge_keep *keep;
    void *user;
    hn_status failed;
    hn_error failure;
} asking;

/* What the queue hands back with an answer. */
typedef struct slot {
    asking *a;
    size_t index;
    char key[65];
} slot;

/* ---- the model ---- */

hn_status hn_judge_model_open(const hn_grading *g, const char *name, const char *place, hn_judge_model **model,
                              hn_error *err) {
    *model = NULL;
    hn_judge_model *m = hn_calloc(1, sizeof *m);
    if (!m) return hn_fail_memory(err, sizeof *m);
    hn_status st = hn_grading_model(g, name, place, &m->provider, &m->own, err);
    if (st == HN_OK) st = hn_provider_info_get(m->provider, &m->info, err);
    if (st == HN_OK) st = hn_answer_cache_create(g->no_cache ? NULL : g->store, &m->cache, err);
    if (st == HN_OK)
        *model = m;
    else
        hn_judge_model_close(m);
    return st;
}

void hn_judge_model_close(hn_judge_model *m) {
    if (!m) return;
    hn_answer_cache_free(m->cache);
    if (m->own && m->provider) hn_provider_close(m->provider);
    hn_free(m);
}

const char *hn_judge_model_name(const hn_judge_model *m) { return m->info.name; }
bool hn_judge_model_is_exact(const hn_judge_model *m) { return !m->info.generates_only; }

/* ---- an answer ---- */

/* exp of log-likelihoods, made to sum to 1. False: none is a number. */
static bool soften(const double *logprobs, double *p, size_t n) {
    double most = -INFINITY, sum = 0;
    for (size_t i = 0; i < n; i++)
        if (logprobs[i] > most) most = logprobs[i];
    if (!isfinite(most)) return false;
    for (size_t i = 0; i < n; i++) sum += p[i] = exp(logprobs[i] - most);
    for (size_t i = 0; i < n; i++) p[i] /= sum;
    return true;
}

static hn_status judge_text(asking *a, const hn_completion *c, int *best, hn_error *err) {
    hn_parsed parsed;
    HN_TRY(hn_answer_parse(a->parser, c->text ? c->text : "", c->text ? c->text_bytes : 0, &parsed, err));
    *best = parsed.valid ? parsed.label : -1;
    hn_parsed_free(&parsed);
    for (size_t i = 0; i < a->n_words; i++) a->probabilities[i] = (int)i == *best;
    return HN_OK;
}

static hn_status hand_out(asking *a, size_t index, const hn_completion *c, hn_error *err) {
    hn_judgement j = {.best = -1};
    if (c->label_logprobs && c->n_labels == a->n_words) {
        if (soften(c->label_logprobs, a->probabilities, a->n_words)) {
            j.best = 0;
            for (size_t i = 1; i < a->n_words; i++)
                if (a->probabilities[i] > a->probabilities[j.best]) j.best = (int)i;
        }
    } else {
        HN_TRY(judge_text(a, c, &j.best, err));
    }
    j.probabilities = j.best >= 0 ? a->probabilities : NULL;
    j.reason = j.best >= 0 ? NULL : "the judge named none of the grades";
    return a->keep(a->user, index, &j, err);
}

static void on_completion(void *user, uint64_t ticket, const hn_completion *c) {
    slot *s = user;
    asking *a = s->a;
    (void)ticket;
    a->n_pending--;
    bool own = c->status == HN_ERR_CONTEXT || c->status == HN_ERR_LIMIT || c->status == HN_ERR_TIMEOUT;
    if (a->failed == HN_OK && own) {
        hn_judgement j = {.best = -1, .reason = c->error.message};
        a->failed = a->keep(a->user, s->index, &j, &a->failure);
    } else if (a->failed == HN_OK && c->status != HN_OK) {
        a->failed = c->status;
        a->failure = c->error;
    } else if (a->failed == HN_OK) {
        if (s->key[0]) hn_answer_cache_put(a->m->cache, s->key, c);
        a->failed = hand_out(a, s->index, c, &a->failure);
    }
    hn_free(s);
}

/* ---- asking ---- */

static hn_request request_for(const asking *a, json_t *messages, const char *raw) {
    bool exact = hn_judge_model_is_exact(a->m);
    hn_request r = {.messages = messages,
                    .raw = messages ? NULL : raw,
                    .kind = exact ? HN_REQUEST_LABELS : HN_REQUEST_GENERATE,
                    .max_tokens = exact ? 0 : REMOTE_TOKENS,
                    .labels = exact ? a->labels : NULL,
                    .n_labels = exact ? a->n_words : 0,
                    .label_stop = "\n"};
    r.sampling.top_p = 1;
    r.sampling.repetition_penalty = 1;
    return r;
}

static hn_status submit(asking *a, size_t index, const hn_buf *question, hn_error *err) {
    bool chat = !hn_judge_model_is_exact(a->m) || a->m->info.template_hash[0];
    json_t *messages = chat ? json_pack("[{s:s, s:o}]", "role", "user", "content",
                                        json_stringn_nocheck(hn_buf_str(question), question->len))
                            : NULL;
    slot *s = hn_calloc(1, sizeof *s);
    uint64_t ticket;
    bool found;
    hn_completion cached;
    if (!s || (chat && !messages)) {
        json_decref(messages);
        hn_free(s);
        return hn_fail_memory(err, sizeof *s);
    }
    *s = (slot){.a = a, .index = index};
    hn_request r = request_for(a, messages, hn_buf_str(question));
    hn_error why = {0};
    hn_status st = hn_provider_cache_key(a->m->provider, &r, s->key, &why);
    if (st == HN_OK) st = hn_answer_cache_get(a->m->cache, s->key, &found, &cached, err);
    if (st == HN_OK && found) {
        st = hand_out(a, index, &cached, err);
        hn_free(s);
    } else if (st == HN_OK) {
        a->n_pending++;
        st = hn_provider_submit(a->m->provider, &r, 0, on_completion, s, &ticket, err);
        if (st != HN_OK) {
            a->n_pending--;
            hn_free(s);
        }
    } else {
        hn_free(s);
        if (st == HN_ERR_CONTEXT || st == HN_ERR_LIMIT)
            st = a->keep(a->user, index, &(hn_judgement){.best = -1, .reason = why.message}, err);
        else if (err)
            *err = why;
    }
    json_decref(messages);
    return st;
}

static hn_status step(asking *a, hn_error *err) {
    HN_TRY(hn_interrupt_check(err));
    HN_TRY(hn_provider_step(a->m->provider, STEP_MS, NULL, err));
    HN_TRY(hn_answer_cache_flush(a->m->cache, true, err));
    if (a->failed == HN_OK) return HN_OK;
    if (err) *err = a->failure;
    return a->failed;
}

static hn_status ask_all(asking *a, hn_judge_question *question, size_t n, hn_error *err) {
    hn_buf text;
    hn_status st = HN_OK;
    hn_buf_init(&text, 0);
    for (size_t i = 0; i < n && st == HN_OK; i++) {
        hn_buf_clear(&text);
        st = question(a->user, i, &text, err);
        if (st == HN_OK) st = hn_buf_check(&text, "a judge's question", err);
        if (st == HN_OK) st = submit(a, i, &text, err);
        while (st == HN_OK && a->n_pending >= IN_FLIGHT) st = step(a, err);
    }
    while (st == HN_OK && a->n_pending) st = step(a, err);
    hn_buf_free(&text);
    hn_error unused;
    hn_status flushed = hn_answer_cache_flush(a->m->cache, false, st == HN_OK ? err : &unused);
    return st == HN_OK ? flushed : st;
}

/* Answers that are still out come as interrupted ones: their slots must be freed before `a` goes. */
static void drain(asking *a) {
    hn_error unused;
    if (a->failed == HN_OK) a->failed = HN_ERR_INTERRUPTED; /* nothing more is kept */
    while (a->n_pending && hn_provider_step(a->m->provider, STEP_MS, NULL, &unused) == HN_OK) continue;
}

hn_status hn_judge_model_ask(hn_judge_model *m, hn_judge_question *question, const char *const *words, size_t n_words,
                             size_t n, hn_judge_keep *keep, void *user, hn_error *err) {
    asking *a = hn_calloc(1, sizeof *a);
    if (!a) return hn_fail_memory(err, sizeof *a);
    *a = (asking){.m = m, .words = words, .n_words = n_words, .keep = keep, .user = user};
    a->labels = hn_calloc(n_words, sizeof *a->labels);
    a->probabilities = hn_calloc(n_words, sizeof *a->probabilities);
    hn_status st = a->labels && a->probabilities ? HN_OK : hn_fail_memory(err, n_words * sizeof *a->labels);
    for (size_t i = 0; st == HN_OK && i < n_words; i++) a->labels[i].text = words[i];
    a->contract = (hn_contract){.kind = HN_CONTRACT_CHOICE, .labels = (char **)(uintptr_t)words, .n_labels = n_words};
    if (st == HN_OK) st = hn_answer_parser_create(&a->contract, NULL, &a->parser, err);
    if (st == HN_OK) st = ask_all(a, question, n, err);
    if (a->n_pending) drain(a);
    hn_answer_parser_free(a->parser);
    hn_free(a->labels);
    hn_free(a->probabilities);
    hn_free(a);
    return st;
}
