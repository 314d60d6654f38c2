/* Asking a server for a run's answers; see parity_proof.h. */
#include "lifecycle/deploy/parity_proof.h"

#include "app/correction.h"
#include "base/clock.h"
#include "base/interrupt.h"
#include "lifecycle/iterate/kept_project.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { CASES_A_REQUEST = 16, TIMEOUT_MS = 600000 };

typedef struct proof {
    const hn_parity_setup *setup;
    hn_parity *out;
    hn_kept_project kept;
    const hn_scope *scope;
    const hn_dataset *dataset;
    hn_prediction_list rows;
    size_t n_rows; /* to ask for */
    hn_correction correction;
    bool corrected;  /* the run's answers are from before the correction: it is applied here */
    double *scratch; /* (n_labels) */
} proof;

/* ---- one request ---- */

typedef struct exchange {
    hn_buf body;
    hn_http_result result;
    bool done;
} exchange;

static bool take(void *user, long http_status, const char *bytes, size_t n) {
    exchange *x = user;
    (void)http_status;
    hn_buf_append(&x->body, bytes, n);
    return hn_buf_status(&x->body) == HN_OK;
}

static void finish(void *user, const hn_http_result *result) {
    exchange *x = user;
    x->result = *result;
    x->done = true;
}

static hn_status refusal(const proof *p, const exchange *x, hn_error *err) {
    json_t *value = NULL;
    hn_error unused;
    const char *message = NULL;
    if (hn_json_parse(hn_buf_str(&x->body), x->body.len, "answer", 0, &value, &unused) == HN_OK)
        message = json_string_value(json_object_get(json_object_get(value, "error"), "message"));
    hn_status st =
        hn_fail(err, HN_ERR_NETWORK, p->setup->url, "is it this release that the server serves?",
                "the server answers with status %ld: %.300s", x->result.http_status, message ? message : "no message");
    json_decref(value);
    return st;
}

static hn_status post(const proof *p, const char *body, size_t n, exchange *x, hn_error *err) {
    static const char *const headers[] = {"Content-Type: application/json"};
    char url[400];
    uint64_t id;
    int length = snprintf(url, sizeof url, "%s/v1/apps/%s", p->setup->url, p->setup->app);
    if (length < 0 || (size_t)length >= sizeof url)
        return hn_fail(err, HN_ERR_USAGE, "--url", NULL, "the address is longer than %zu bytes", sizeof url - 80);
    hn_http_call call = {.url = url,
                         .body = body,
                         .body_bytes = n,
                         .headers = headers,
                         .n_headers = 1,
                         .timeout_ms = TIMEOUT_MS,
                         .on_bytes = take,
                         .on_done = finish,
                         .user = x};
    HN_TRY(hn_http_pool_start(p->setup->pool, &call, &id, err));
    hn_status st = HN_OK;
    while (st == HN_OK && !x->done) {
        st = hn_http_pool_step(p->setup->pool, 200, err);
        if (st == HN_OK) st = hn_interrupt_check(err);
    }
    if (!x->done) hn_http_pool_cancel(p->setup->pool, id);
    HN_TRY(st);
    HN_TRY(hn_buf_check(&x->body, "an answer", err));
    if (x->result.fault != HN_HTTP_FINE)
        return hn_fail(err, HN_ERR_NETWORK, p->setup->url, "start it: `hone serve NAME`", "%.240s", x->result.detail);
    return x->result.http_status == 200 ? HN_OK : refusal(p, x, err);
}

/* ---- what is asked ---- */

static hn_status add_case(const proof *p, const hn_prediction *row, json_t *inputs, json_t *groups, hn_error *err) {
    const hn_case *c = hn_dataset_find(p->dataset, row->case_id);
    if (!c)
        return hn_fail(err, HN_ERR_NOT_FOUND, row->case_id, NULL, "the data kept with r%lld has no such case",
                       (long long)p->setup->run->id);
    json_t *group = c->group ? json_stringn_nocheck(c->group, strlen(c->group)) : json_null();
    bool fine = json_array_append(inputs, c->inputs) == 0;
    fine = json_array_append_new(groups, group) == 0 && fine;
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

static hn_status write_request(const proof *p, const size_t *rows, size_t n, hn_buf *out, hn_error *err) {
    json_t *inputs = json_array(), *groups = json_array(), *body = NULL;
    hn_status st = inputs && groups ? HN_OK : hn_fail_memory(err, 0);
    for (size_t i = 0; st == HN_OK && i < n; i++) st = add_case(p, &p->rows.rows[rows[i]], inputs, groups, err);
    if (st == HN_OK) body = json_pack("{s:O, s:O, s:b}", "inputs", inputs, "group", groups, "logprobs", 1);
    if (st == HN_OK && !body) st = hn_fail_memory(err, 0);
    if (body) hn_json_write(body, NULL, out);
    if (st == HN_OK) st = hn_buf_check(out, "a request", err);
    json_decref(body);
    json_decref(inputs);
    json_decref(groups);
    return st;
}

/* ---- what was answered ---- */

/* As both are written: bytes that are no UTF-8 are replaced alike. */
static bool same_text(const json_t *got, const char *expected) {
    if (!expected) return !got || json_is_null(got);
    if (!json_is_string(got)) return false;
    hn_buf a, b;
    hn_buf_init(&a, 0);
    hn_buf_init(&b, 0);
    hn_json_write_string(json_string_value(got), json_string_length(got), false, &a);
    hn_json_write_string(expected, strlen(expected), false, &b);
    bool same = hn_buf_status(&a) == HN_OK && hn_buf_status(&b) == HN_OK && a.len == b.len &&
                memcmp(hn_buf_str(&a), hn_buf_str(&b), a.len) == 0;
    hn_buf_free(&a);
    hn_buf_free(&b);
    return same;
}

/* Every label's double has the same bits; what is not finite travels as null. */
static bool same_doubles(const proof *p, const json_t *got, const double *expected, size_t n) {
    if (!expected) return !got || json_is_null(got);
    if (!json_is_object(got) || json_object_size(got) != n || n != p->scope->contract.n_labels) return false;
    for (size_t i = 0; i < n; i++) {
        const json_t *number = json_object_get(got, p->scope->contract.labels[i]);
        double value = json_number_value(number);
        if (!isfinite(expected[i]) ? !json_is_null(number)
                                   : !json_is_number(number) || memcmp(&value, &expected[i], sizeof value) != 0)
            return false;
    }
    return true;
}

/* On the dev split a run keeps probabilities as they are before the correction that was fitted on them. */
static hn_status probabilities_of(proof *p, const hn_prediction *row, const double **expected, hn_error *err) {
    *expected = row->probabilities;
    if (!row->probabilities || !p->corrected || row->n_probabilities != p->scope->contract.n_labels) return HN_OK;
    memcpy(p->scratch, row->probabilities, row->n_probabilities * sizeof *p->scratch);
    *expected = p->scratch;
    return hn_correction_apply(&p->correction, p->scratch, row->n_probabilities, err);
}

static hn_status compare(proof *p, const hn_prediction *row, const json_t *got, const char **what, hn_error *err) {
    const double *probabilities;
    HN_TRY(probabilities_of(p, row, &probabilities, err));
    *what = NULL;
    bool failed = json_is_object(json_object_get(got, "error"));
    if (row->error || failed)
        *what = row->error && failed ? NULL : "error";
    else if (!same_text(json_object_get(got, "value"), row->value))
        *what = "answer";
    else if (!row->raw_logprobs && !same_text(json_object_get(got, "text"), row->text))
        *what = "text";
    else if (!same_doubles(p, json_object_get(got, "logprobs"), row->raw_logprobs, row->n_probabilities))
        *what = "likelihoods";
    else if (!same_doubles(p, json_object_get(got, "probabilities"), probabilities, row->n_probabilities))
        *what = "probabilities";
    return HN_OK;
}

static hn_status compare_all(proof *p, const size_t *rows, size_t n, const json_t *value, hn_error *err) {
    const json_t *answers = json_object_get(value, "answers");
    const char *path = json_string_value(json_object_get(value, "numeric_path")), *what;
    if (json_array_size(answers) != n)
        return hn_fail(err, HN_ERR_NETWORK, p->setup->url, "is it a hone server?",
                       "%zu cases were asked and %zu answered", n, json_array_size(answers));
    if (path) snprintf(p->out->numeric_path, sizeof p->out->numeric_path, "%s", path);
    for (size_t i = 0; i < n; i++) {
        const hn_prediction *row = &p->rows.rows[rows[i]];
        HN_TRY(compare(p, row, json_array_get(answers, i), &what, err));
        p->out->n++;
        p->out->n_equal += !what;
        if (!what) continue;
        hn_parity_change *change = &p->out->changes[p->out->n_changes++];
        snprintf(change->case_id, sizeof change->case_id, "%s", row->case_id);
        change->what = what;
    }
    return HN_OK;
}

static hn_status ask(proof *p, const size_t *rows, size_t n, hn_error *err) {
    exchange x = {0};
    hn_buf request;
    json_t *value = NULL;
    hn_buf_init(&request, 0);
    hn_buf_init(&x.body, 0);
    hn_status st = write_request(p, rows, n, &request, err);
    if (st == HN_OK) st = post(p, hn_buf_str(&request), request.len, &x, err);
    if (st == HN_OK) st = hn_json_parse(hn_buf_str(&x.body), x.body.len, p->setup->url, 0, &value, err);
    if (st == HN_OK) st = compare_all(p, rows, n, value, err);
    json_decref(value);
    hn_buf_free(&request);
    hn_buf_free(&x.body);
    return st;
}

/* ---- the whole ---- */

static hn_status open_proof(proof *p, hn_error *err) {
    const hn_parity_setup *s = p->setup;
    HN_TRY(hn_kept_open(s->store, s->run, &p->kept, err));
    p->scope = hn_project_scope(p->kept.project);
    HN_TRY(hn_project_dataset(p->kept.project, &p->dataset, err));
    HN_TRY(hn_prediction_load(s->store, s->run->id, &p->rows, err));
    if (p->rows.n == 0)
        return hn_fail(err, HN_ERR_INPUT, "run", NULL, "r%lld has no answers to hold any against",
                       (long long)s->run->id);
    p->corrected = s->correction && s->run->spec.split && strcmp(s->run->spec.split, "dev") == 0;
    if (p->corrected) HN_TRY(hn_correction_parse(s->correction, &p->correction, err));
    p->n_rows = s->limit && s->limit < p->rows.n ? s->limit : p->rows.n;
    p->scratch = hn_calloc(p->scope->contract.n_labels + 1, sizeof *p->scratch);
    p->out->changes = hn_calloc(p->n_rows, sizeof *p->out->changes);
    return p->scratch && p->out->changes ? HN_OK : hn_fail_memory(err, p->n_rows * sizeof *p->out->changes);
}

static hn_status ask_all(proof *p, hn_error *err) {
    size_t rows[CASES_A_REQUEST];
    for (size_t i = 0, n = 0; i < p->n_rows; i++) {
        rows[n++] = (size_t)((uint64_t)i * p->rows.n / p->n_rows);
        if (n < CASES_A_REQUEST && i + 1 < p->n_rows) continue;
        HN_TRY(ask(p, rows, n, err));
        n = 0;
        if (p->setup->on_progress) p->setup->on_progress(p->setup->user, i + 1, p->n_rows);
    }
    return HN_OK;
}

hn_status hn_parity_run(const hn_parity_setup *setup, hn_parity *out, hn_error *err) {
    proof p = {.setup = setup, .out = out, .correction = hn_correction_none()};
    *out = (hn_parity){0};
    hn_status st = open_proof(&p, err);
    double began = hn_clock_seconds();
    if (st == HN_OK) st = ask_all(&p, err);
    out->seconds = hn_clock_seconds() - began;
    hn_correction_free(&p.correction);
    hn_prediction_list_free(&p.rows);
    hn_kept_close(&p.kept);
    hn_free(p.scratch);
    if (st != HN_OK) hn_parity_free(out);
    return st;
}

void hn_parity_free(hn_parity *parity) {
    hn_free(parity->changes);
    *parity = (hn_parity){0};
}

hn_status hn_parity_json(const hn_parity *p, const char *url, json_t **value, hn_error *err) {
    json_t *changes = json_array();
    bool fine = changes != NULL;
    for (size_t i = 0; fine && i < p->n_changes; i++)
        fine = json_array_append_new(
                   changes, json_pack("{s:o, s:s}", "case",
                                      json_stringn_nocheck(p->changes[i].case_id, strlen(p->changes[i].case_id)),
                                      "what", p->changes[i].what)) == 0;
    *value = fine ? json_pack("{s:s?, s:b, s:I, s:I, s:f, s:s, s:O}", "url", url, "passed", p->n_equal == p->n, "n",
                              (json_int_t)p->n, "n_equal", (json_int_t)p->n_equal, "seconds", p->seconds,
                              "numeric_path", p->numeric_path, "changes", changes)
                  : NULL;
    json_decref(changes);
    return *value ? HN_OK : hn_fail_memory(err, 0);
}
