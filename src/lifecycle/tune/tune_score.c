/* Scoring through the App and by loss; see tune_score.h. */
#include "lifecycle/tune/tune_score.h"

#include "app/app.h"
#include "base/alloc.h"
#include "base/interrupt.h"
#include "lifecycle/eval/grade.h"
#include "lifecycle/tune/tune_method.h"
#include "lifecycle/tune/tune_text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WINDOW = 128, STEP_MS = 100, SAMPLE_TOKENS = 48, BCA_ROWS_MAX = 2000 };

/* ---- cases ---- */

typedef struct scoring scoring;

typedef struct slot {
    scoring *s;
    size_t position;
} slot;

struct scoring {
    const hn_tune_setup *setup;
    const uint32_t *cases;
    size_t in_flight;
    double *scores;
    slot *slots;
    int turn; /* wrong answers still to pass over before one is kept */
    hn_tune_sample *sample;
    hn_status failed;
    hn_error failure;
};

void hn_tune_sample_free(hn_tune_sample *sample) {
    hn_free(sample->wanted);
    hn_free(sample->said);
    *sample = (hn_tune_sample){0};
}

static hn_status keep_wrong(scoring *s, const hn_case *c, const char *said, hn_error *err) {
    hn_tune_sample *w = s->sample;
    if (w->wanted && s->turn <= 0) return HN_OK;
    hn_tune_sample_free(w);
    snprintf(w->name, sizeof w->name, "%.90s", c->id);
    w->still_wrong = true;
    w->wanted = hn_strdup(c->target);
    w->said = said ? hn_strdup(said) : NULL;
    s->turn--;
    return w->wanted && (w->said || !said) ? HN_OK : hn_fail_memory(err, 0);
}

static void on_answer(void *user, uint64_t ticket, const hn_answer *a) {
    slot *at = user;
    scoring *s = at->s;
    const hn_case *c = &s->setup->dataset->cases[s->cases[at->position]];
    (void)ticket;
    s->in_flight--;
    if (s->failed != HN_OK) return;
    if (a->status != HN_OK && a->status != HN_ERR_CONTEXT && a->status != HN_ERR_LIMIT) {
        s->failed = a->status;
        s->failure = a->error;
        return;
    }
    const hn_contract *contract = &hn_project_scope(s->setup->project)->contract;
    bool right = a->status == HN_OK && hn_grade_answer(contract, c->target, a->value);
    s->scores[at->position] = right;
    if (!right) s->failed = keep_wrong(s, c, a->value, &s->failure);
}

static hn_status answer_all(scoring *s, hn_app *app, size_t n, hn_error *err) {
    for (size_t next = 0; next < n || s->in_flight;) {
        HN_TRY(hn_interrupt_check(err));
        for (; next < n && s->in_flight < WINDOW; next++) {
            s->slots[next] = (slot){s, next};
            s->in_flight++;
            HN_TRY(hn_app_submit(app, &s->setup->dataset->cases[s->cases[next]], 0, on_answer, &s->slots[next], NULL,
                                 err));
        }
        HN_TRY(hn_app_step(app, STEP_MS, NULL, err));
        if (s->failed != HN_OK) {
            if (err) *err = s->failure;
            return s->failed;
        }
    }
    return HN_OK;
}

hn_status hn_tune_score_cases(const hn_tune_setup *setup, hn_provider *provider, bool is_base, const uint32_t *cases,
                              size_t n, int turn, double *scores, hn_tune_sample *sample, hn_error *err) {
    scoring s = {.setup = setup, .cases = cases, .scores = scores, .turn = turn % 7, .sample = sample};
    hn_app *app = NULL;
    s.slots = hn_calloc(n ? n : 1, sizeof *s.slots);
    if (!s.slots) return hn_fail_memory(err, n * sizeof *s.slots);
    hn_status st = hn_app_create(&(hn_app_parts){.scope = hn_project_scope(setup->project),
                                                 .dataset = setup->dataset,
                                                 .prompt = setup->prompt,
                                                 .provider = provider,
                                                 .store = is_base ? setup->store : NULL},
                                 &app, err);
    if (st == HN_OK) st = answer_all(&s, app, n, err);
    if (st == HN_OK && is_base) st = hn_app_flush(app, err);
    hn_app_free(app);
    hn_free(s.slots);
    return st;
}

/* ---- held-out answers ---- */

/* Nats a token of the listed units. */
static double mean_loss(const uint32_t *units, size_t n, void *user) {
    const hn_training *t = user;
    size_t unit = t->held.unit;
    double nats = 0, tokens = 0;
    for (size_t i = 0; i < n; i++) {
        nats -= t->scores[units[i]];
        tokens += t->held.items[units[i] * unit].n_learned;
    }
    return tokens > 0 ? nats / tokens : (double)NAN;
}

hn_status hn_tune_score_held(hn_training *t, hn_estimate *loss, hn_error *err) {
    size_t n = t->result->n_dev, unit = t->held.unit;
    const hn_tune_example **rows = hn_calloc(n, sizeof *rows);
    if (!rows) return hn_fail_memory(err, n * sizeof *rows);
    for (size_t i = 0; i < n; i++) rows[i] = &t->held.items[i * unit]; /* of a pair the answer that was chosen */
    hn_status st = hn_tune_answer_losses(t, rows, n, t->scores, err);
    hn_free(rows);
    HN_TRY(st);
    for (size_t i = 0; i < n; i++) t->scores[i] = -t->scores[i];
    hn_bootstrap_options o = {.seed = 7, .method = n > BCA_ROWS_MAX ? HN_BOOTSTRAP_PERCENTILE : HN_BOOTSTRAP_BCA};
    return hn_bootstrap(mean_loss, t, n, NULL, &o, loss, err);
}

typedef struct heard {
    hn_tune_sample *sample;
    hn_status status;
    hn_error error;
    bool done;
} heard;

static void on_sample(void *user, uint64_t ticket, const hn_completion *c) {
    heard *h = user;
    (void)ticket;
    h->done = true;
    h->status = c->status;
    h->error = c->error;
    if (c->status != HN_OK) return;
    h->sample->said = hn_strndup(c->text, c->text_bytes);
    if (!h->sample->said) h->status = hn_fail_memory(&h->error, c->text_bytes);
}

static hn_status answer_text(const hn_training *t, const hn_tune_example *x, char **text, hn_error *err) {
    hn_buf b;
    hn_buf_init(&b, 1 << 16);
    int end = x->n_prompt;
    while (end < x->n && x->learned[end] && end < x->n_prompt + SAMPLE_TOKENS) end++;
    hn_status st = hn_tokenizer_decode(hn_model_tokenizer(t->base.model), x->ids + x->n_prompt,
                                       (size_t)(end - x->n_prompt), false, false, &b, err);
    *text = st == HN_OK ? hn_buf_take(&b) : NULL;
    hn_buf_free(&b);
    return st != HN_OK || *text ? st : hn_fail_memory(err, 0);
}

hn_status hn_tune_sample_held(const hn_training *t, hn_provider *provider, int turn, hn_tune_sample *sample,
                              hn_error *err) {
    const hn_tune_example *x = &t->held.items[(size_t)turn % t->result->n_dev * t->held.unit];
    heard h = {.sample = sample};
    hn_request request = {.ids = x->ids,
                          .n_ids = (size_t)x->n_prompt,
                          .kind = HN_REQUEST_GENERATE,
                          .max_tokens = SAMPLE_TOKENS,
                          .sampling = {.temperature = 0}};
    uint64_t ticket;
    if (x->n_prompt + SAMPLE_TOKENS > t->base.context) return HN_OK;
    snprintf(sample->name, sizeof sample->name, "line %d", t->setup->data->rows[x->row].line);
    HN_TRY(answer_text(t, x, &sample->wanted, err));
    HN_TRY(hn_provider_submit(provider, &request, 0, on_sample, &h, &ticket, err));
    while (!h.done) {
        hn_status st = hn_interrupt_check(err);
        if (st == HN_OK) st = hn_provider_step(provider, STEP_MS, NULL, err);
        if (st == HN_OK) continue;
        hn_provider_cancel(provider, ticket); /* it must not answer to what is gone */
        return st;
    }
    if (h.status != HN_OK && err) *err = h.error;
    return h.status;
}

/* ---- either ---- */

static hn_status score_by_loss(hn_training *t, hn_provider *provider, hn_tune_epoch *e, hn_tune_sample *sample,
                               hn_error *err) {
    if (hn_tune_is_text(t))
        HN_TRY(hn_tune_text_score(t, e, err));
    else
        HN_TRY(hn_tune_score_held(t, &e->loss, err));
    e->n_correct = -1;
    return hn_tune_sample_held(t, provider, t->state.n_epochs, sample, err);
}

hn_status hn_tune_score_epoch(hn_training *t, const char *folder, hn_tune_epoch *e, hn_tune_sample *sample,
                              hn_error *err) {
    hn_provider *provider = NULL;
    bool whole = t->result->is_whole;
    HN_TRY(t->hooks->open(t->hooks->user, whole ? folder : NULL, whole ? NULL : folder, &provider, err));
    hn_status st = t->setup->data ? score_by_loss(t, provider, e, sample, err)
                                  : hn_tune_score_cases(t->setup, provider, !folder, t->dev, t->result->n_dev,
                                                        t->state.n_epochs, t->scores, sample, err);
    hn_provider_close(provider);
    if (st != HN_OK || t->setup->data) return st;
    e->n_correct = 0;
    for (size_t i = 0; i < t->result->n_dev; i++) e->n_correct += t->scores[i] > 0;
    return HN_OK;
}
