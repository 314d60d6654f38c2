/* The scripted provider; see fake_provider.h. */
#include "fake_provider.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/hash.h"
#include "provider/provider_table.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct fake_job {
    struct fake_job *next;
    uint64_t ticket;
    hn_on_completion *on_done;
    void *user;
    char *prompt;
    bool labels;
    double *scores;
    bool *is_bound; /* NULL: all exact */
    size_t n_labels;
    char text[256];
    bool cut; /* max_tokens is small */
} fake_job;

typedef struct fake {
    hn_provider base;
    hn_fake_script *script;
    fake_job *newest; /* answered first */
    uint64_t last_ticket;
} fake;

char *hn_fake_prompt_text(const hn_request *r) {
    hn_buf b;
    hn_buf_init(&b, 0);
    if (r->raw) hn_buf_append_str(&b, r->raw);
    for (size_t i = 0; r->messages && i < json_array_size(r->messages); i++) {
        const char *content = json_string_value(json_object_get(json_array_get(r->messages, i), "content"));
        hn_buf_appendf(&b, "%s\n", content ? content : "");
    }
    if (r->assistant_prefix) hn_buf_append_str(&b, r->assistant_prefix);
    hn_buf_append_str(&b, "");
    char *text = hn_buf_take(&b);
    if (!text) hn_buf_free(&b);
    return text;
}

static double score_of(const hn_fake_script *s, const char *prompt, const char *label) {
    if (s->score) return s->score(prompt, label);
    uint64_t h = hn_hash64(prompt, strlen(prompt), hn_hash64(label, strlen(label), 1));
    return -1.0 - (double)(h % 100000) / 7919.0;
}

static void free_job(fake_job *job) {
    hn_free(job->prompt);
    hn_free(job->scores);
    hn_free(job->is_bound);
    hn_free(job);
}

/* As a search may answer: every label but the best is left out, with a bound above its value; for BOUNDED only hopeless ones. */
static hn_status search(fake_job *job, const hn_request *r, hn_error *err) {
    double best = -(double)INFINITY;
    if (r->label_mode == HN_LABELS_ALL) return HN_OK;
    job->is_bound = hn_calloc(r->n_labels, sizeof *job->is_bound);
    if (!job->is_bound) return hn_fail_memory(err, r->n_labels);
    for (int round = 0; round < 2; round++) {
        for (size_t i = 0; i < r->n_labels; i++) {
            double score = job->scores[i] - (r->label_log_priors ? r->label_log_priors[i] : 0);
            if (round == 0) best = fmax(best, score);
            if (round == 0 || score > best - (r->label_mode == HN_LABELS_BEST ? 0.001 : 12)) continue;
            job->is_bound[i] = true;
            job->scores[i] += 0.0005;
        }
    }
    return HN_OK;
}

static hn_status submit(hn_provider *p, const hn_request *r, double deadline, hn_on_completion *on_done, void *user,
                        uint64_t *ticket, hn_error *err) {
    fake *f = (fake *)p;
    (void)deadline;
    fake_job *job = hn_calloc(1, sizeof *job);
    if (!job) return hn_fail_memory(err, sizeof *job);
    job->prompt = hn_fake_prompt_text(r);
    job->labels = r->kind == HN_REQUEST_LABELS;
    job->n_labels = r->n_labels;
    job->scores = hn_calloc(r->n_labels + 1, sizeof *job->scores);
    if (!job->prompt || !job->scores) {
        free_job(job);
        return hn_fail_memory(err, 0);
    }
    for (size_t i = 0; job->labels && i < r->n_labels; i++)
        job->scores[i] = score_of(f->script, job->prompt, r->labels[i].text);
    hn_status st = job->labels ? search(job, r, err) : HN_OK;
    if (st != HN_OK) {
        free_job(job);
        return st;
    }
    if (!job->labels && f->script->write) f->script->write(job->prompt, r, job->text);
    job->on_done = on_done;
    job->user = user;
    job->ticket = ++f->last_ticket;
    job->next = f->newest;
    f->newest = job;
    *ticket = job->ticket;
    f->script->n_submitted++;
    return HN_OK;
}

static void complete(fake *f, fake_job *job) {
    hn_completion c = {.finish = HN_FINISH_STOP,
                       .usage = {(int)strlen(job->prompt), 0, job->labels ? 0 : (int)strlen(job->text), 0},
                       .timing = {0, 2.5, 0.5}};
    if (f->script->fail) c.status = f->script->fail(job->prompt);
    if (c.status != HN_OK) {
        hn_fail(&c.error, c.status, "fake", "do nothing", "the script says so");
        c.finish = HN_FINISH_ERROR;
    } else if (job->labels) {
        c.label_logprobs = job->scores;
        c.n_labels = job->n_labels;
        c.label_is_bound = job->is_bound;
        c.label_open_share = job->is_bound ? 1e-5 : 0;
    } else {
        c.text = job->text;
        c.text_bytes = strlen(job->text);
    }
    f->script->n_completed++;
    job->on_done(job->user, job->ticket, &c);
    free_job(job);
}

static hn_status step(hn_provider *p, int timeout_ms, size_t *pending, hn_error *err) {
    fake *f = (fake *)p;
    (void)timeout_ms;
    (void)err;
    if (f->script->step_ms) hn_clock_sleep_ms(f->script->step_ms);
    for (int i = 0; i < (f->script->per_step ? f->script->per_step : 1) && f->newest; i++) {
        fake_job *job = f->newest;
        f->newest = job->next;
        complete(f, job);
    }
    *pending = 0;
    for (fake_job *job = f->newest; job; job = job->next) ++*pending;
    return HN_OK;
}

static void cancel(hn_provider *p, uint64_t ticket) {
    fake *f = (fake *)p;
    for (fake_job **at = &f->newest; *at; at = &(*at)->next) {
        if ((*at)->ticket != ticket) continue;
        fake_job *job = *at;
        *at = job->next;
        hn_completion c = {.finish = HN_FINISH_CANCELLED};
        c.status = hn_fail(&c.error, HN_ERR_INTERRUPTED, NULL, NULL, "cancelled");
        f->script->n_cancelled++;
        job->on_done(job->user, job->ticket, &c);
        free_job(job);
        return;
    }
}

static hn_status info(hn_provider *p, hn_provider_info *out, hn_error *err) {
    const hn_fake_script *s = ((fake *)p)->script;
    (void)err;
    *out = (hn_provider_info){
        .name = "fake-model", .kind = "fake", .reproducible = true, .context = 4096, .memory_bytes = 1000000};
    out->numeric_path = s->numeric_path ? s->numeric_path : "fake";
    snprintf(out->model_hash, sizeof out->model_hash, "%s", s->model_hash ? s->model_hash : "f00d");
    snprintf(out->template_hash, sizeof out->template_hash, "beef");
    return HN_OK;
}

static hn_status cache_key(hn_provider *p, const hn_request *r, char hex[65], hn_error *err) {
    const hn_fake_script *s = ((fake *)p)->script;
    char *text = hn_fake_prompt_text(r);
    hn_sha256 *h = text ? hn_sha256_create() : NULL;
    if (!h) {
        hn_free(text);
        return hn_fail_memory(err, 0);
    }
    hn_sha256_field_str(h, text);
    hn_sha256_field_str(h, s->numeric_path);
    hn_sha256_field_str(h, s->model_hash);
    hn_sha256_field_i64(h, r->kind);
    hn_sha256_field_i64(h, r->max_tokens);
    if (r->kind == HN_REQUEST_GENERATE) {
        hn_sha256_field_f64(h, r->sampling.temperature);
        hn_sha256_field_i64(h, (int64_t)r->sampling.seed);
    }
    for (size_t i = 0; i < r->n_labels; i++) hn_sha256_field_str(h, r->labels[i].text);
    hn_sha256_field_i64(h, r->label_mode);
    for (size_t i = 0; r->label_log_priors && i < r->n_labels; i++) hn_sha256_field_f64(h, r->label_log_priors[i]);
    hn_sha256_finish(h, hex);
    hn_free(text);
    return HN_OK;
}

static void close_fake(hn_provider *p) {
    fake *f = (fake *)p;
    while (f->newest) {
        fake_job *job = f->newest;
        f->newest = job->next;
        free_job(job);
    }
    hn_free(f);
}

static const hn_provider_table table = {
    .submit = submit, .step = step, .cancel = cancel, .info = info, .cache_key = cache_key, .close = close_fake};

hn_provider *hn_fake_provider(hn_fake_script *script) {
    fake *f = hn_calloc(1, sizeof *f);
    if (!f) return NULL;
    f->base.table = &table;
    f->script = script;
    return &f->base;
}
