/* Answers as CSV and JSON Lines; see report_run.h. */
#include "lifecycle/iterate/report_run.h"

#include "base/str.h"
#include "format/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- CSV ---- */

static const char *const columns[] = {
    "run",    "prompt",    "model", "split",       "position", "case",  "group",  "input",         "target",
    "answer", "correct",   "score", "probability", "text",     "error", "finish", "prompt_tokens", "completion_tokens",
    "ms",     "from_cache"};

/* Spreadsheets run what begins with one of these (and their full-width forms); a plain number may begin with a sign. */
static bool looks_like_formula(const char *text) {
    static const char *const wide[] = {"\xEF\xBC\x9D", "\xEF\xBC\x8B", "\xEF\xBC\x8D", "\xEF\xBC\xA0"};
    double number;
    const char *first = text + strspn(text, " ");
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++)
        if (hn_starts_with(first, wide[i])) return true;
    return *first && strchr("=+-@\t\r|", *first) && !hn_parse_double(text, &number);
}

static void append_text(hn_buf *out, const char *text, bool verbatim, bool first) {
    if (!first) hn_buf_append_char(out, ',');
    if (!text) return;
    if (verbatim || !looks_like_formula(text)) {
        hn_csv_append_cell(out, text, ',');
        return;
    }
    hn_buf guarded;
    hn_buf_init(&guarded, 0);
    hn_buf_append_char(&guarded, '\'');
    hn_buf_append_str(&guarded, text);
    if (hn_buf_status(&guarded) != HN_OK) out->error = HN_ERR_MEMORY;
    hn_csv_append_cell(out, hn_buf_str(&guarded), ',');
    hn_buf_free(&guarded);
}

static void append_number(hn_buf *out, double value) {
    hn_buf_append_char(out, ',');
    if (isfinite(value)) hn_buf_appendf(out, "%.10g", value);
}

void hn_report_csv_header(const char *const *graders, size_t n_graders, hn_buf *out) {
    for (size_t i = 0; i < sizeof columns / sizeof *columns; i++) append_text(out, columns[i], true, i == 0);
    for (size_t g = 0; g < n_graders; g++) append_text(out, graders[g], false, false);
    hn_buf_append_str(out, "\r\n");
}

static void append_scores(const hn_report_run *r, int64_t position, const char *const *graders, size_t n_graders,
                          hn_buf *out) {
    for (size_t g = 0; g < n_graders; g++) {
        double value = (double)NAN;
        for (size_t own = 0; own < r->n_graders; own++)
            if (strcmp(r->graders[own], graders[g]) == 0) value = hn_report_score(r, own, position);
        append_number(out, value);
    }
}

static hn_status append_row(const hn_report_run *r, const hn_prediction *p, bool verbatim, hn_buf *out, hn_error *err) {
    const hn_run *run = r->detail.run;
    hn_buf input;
    hn_buf_init(&input, 0);
    hn_status st = hn_report_case_text(r, p->case_id, &input, err);
    if (st == HN_OK) st = hn_buf_check(&input, "a case's text", err);
    if (st == HN_OK) {
        hn_buf_appendf(out, "r%lld", (long long)run->id);
        const char *names[] = {run->spec.prompt_name, run->spec.model_name, run->spec.split};
        for (size_t i = 0; i < 3; i++) append_text(out, names[i], verbatim, false);
        hn_buf_appendf(out, ",%lld", (long long)p->position);
        const char *texts[] = {p->case_id, p->group, hn_buf_str(&input), p->target, p->value};
        for (size_t i = 0; i < 5; i++) append_text(out, texts[i], verbatim, false);
        hn_buf_appendf(out, ",%d", p->correct);
        append_number(out, p->score);
        append_number(out, hn_run_detail_confidence(p));
        const char *ends[] = {p->text, p->error, p->finish};
        for (size_t i = 0; i < 3; i++) append_text(out, ends[i], verbatim, false);
        hn_buf_appendf(out, ",%lld,%lld", (long long)p->prompt_tokens, (long long)p->completion_tokens);
        append_number(out, p->prefill_ms + p->decode_ms);
        hn_buf_appendf(out, ",%d", p->from_cache);
    }
    hn_buf_free(&input);
    return st;
}

hn_status hn_report_csv(const hn_report_run *r, const char *const *graders, size_t n_graders, bool verbatim,
                        hn_buf *out, hn_error *err) {
    for (size_t i = 0; i < r->detail.list.n; i++) {
        const hn_prediction *p = &r->detail.list.rows[i];
        HN_TRY(append_row(r, p, verbatim, out, err));
        append_scores(r, p->position, graders, n_graders, out);
        hn_buf_append_str(out, "\r\n");
    }
    return hn_buf_check(out, "the table", err);
}

/* ---- JSON Lines ---- */

static json_t *text_json(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }
static json_t *number_json(double value) { return isfinite(value) ? json_real(value) : json_null(); }

/* {label: probability}, or null. */
static json_t *probabilities_json(const hn_run_detail *d, const hn_prediction *p) {
    if (!p->probabilities || p->n_probabilities != d->n_labels) return json_null();
    json_t *made = json_object();
    for (size_t l = 0; made && l < d->n_labels; l++)
        if (json_object_set_new_nocheck(made, d->labels[l], number_json(p->probabilities[l])) != 0) {
            json_decref(made);
            return NULL;
        }
    return made;
}

static json_t *scores_json(const hn_report_run *r, const hn_prediction *p) {
    json_t *made = json_object();
    for (size_t g = 0; made && g < r->n_graders; g++)
        if (json_object_set_new_nocheck(made, r->graders[g], number_json(hn_report_score(r, g, p->position))) != 0) {
            json_decref(made);
            return NULL;
        }
    return made;
}

static json_t *details_json(const hn_prediction *p) {
    json_t *value = NULL;
    hn_error unused;
    if (p->details_json &&
        hn_json_parse(p->details_json, strlen(p->details_json), "details", 0, &value, &unused) == HN_OK)
        return value;
    return json_null();
}

static hn_status append_object(const hn_report_run *r, const hn_prediction *p, hn_buf *out, hn_error *err) {
    const hn_run *run = r->detail.run;
    char name[32];
    hn_buf input;
    hn_buf_init(&input, 0);
    snprintf(name, sizeof name, "r%lld", (long long)run->id);
    hn_status st = hn_report_case_text(r, p->case_id, &input, err);
    if (st == HN_OK) st = hn_buf_check(&input, "a case's text", err);
    json_t *row =
        st != HN_OK
            ? NULL
            : json_pack("{s:s, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:I, "
                        "s:I, s:o, s:b, s:o}",
                        "run", name, "prompt", text_json(run->spec.prompt_name), "model",
                        text_json(run->spec.model_name), "split", text_json(run->spec.split), "position",
                        (json_int_t)p->position, "case", text_json(p->case_id), "group", text_json(p->group), "input",
                        text_json(input.len ? hn_buf_str(&input) : NULL), "target", text_json(p->target), "answer",
                        text_json(p->value), "correct", p->correct, "score", number_json(p->score), "probabilities",
                        probabilities_json(&r->detail, p), "scores", scores_json(r, p), "text", text_json(p->text),
                        "error", text_json(p->error), "finish", text_json(p->finish), "prompt_tokens",
                        (json_int_t)p->prompt_tokens, "completion_tokens", (json_int_t)p->completion_tokens, "ms",
                        number_json(p->prefill_ms + p->decode_ms), "from_cache", p->from_cache, "details",
                        details_json(p));
    hn_buf_free(&input);
    HN_TRY(st);
    if (!row) return hn_fail_memory(err, 0);
    hn_json_write(row, NULL, out);
    hn_buf_append_char(out, '\n');
    json_decref(row);
    return HN_OK;
}

hn_status hn_report_jsonl(const hn_report_run *r, hn_buf *out, hn_error *err) {
    for (size_t i = 0; i < r->detail.list.n; i++) HN_TRY(append_object(r, &r->detail.list.rows[i], out, err));
    return hn_buf_check(out, "the lines", err);
}
