/* Results as files; see eval_output.h. Here: which format, rows as JSON Lines and CSV. */
#include "lifecycle/eval/eval_output.h"

#include "base/file.h"
#include "base/str.h"
#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

hn_status hn_eval_output_format(const char *path, hn_eval_format *format, hn_error *err) {
    static const struct {
        const char *ending;
        hn_eval_format format;
    } formats[] = {{".json", HN_EVAL_JSON},
                   {".jsonl", HN_EVAL_JSONL},
                   {".csv", HN_EVAL_CSV},
                   {".md", HN_EVAL_MARKDOWN},
                   {".xml", HN_EVAL_JUNIT}};
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
        *format = formats[i].format;
        if (hn_ends_with(path, formats[i].ending)) return HN_OK;
    }
    return hn_fail(err, HN_ERR_USAGE, path, "end it in .json, .jsonl, .csv, .md (a comment) or .xml (JUnit)",
                   "the file's ending names no format that there is");
}

/* ---- rows ---- */

/* The probability of the answer given; NaN where it has none. */
static double confidence_of(const hn_report *r, const hn_prediction *p) {
    for (size_t l = 0; p->probabilities && p->value && l < r->n_labels && l < p->n_probabilities; l++)
        if (strcmp(r->labels[l], p->value) == 0) return p->probabilities[l];
    return (double)NAN;
}

static json_t *text_or_null(const char *text) { return text ? json_stringn_nocheck(text, strlen(text)) : json_null(); }
static json_t *number_or_null(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* What the graders said of the answer: {"bleu": 0.31}; none: NULL. */
static json_t *grades_json(const hn_eval_output *f, size_t cell, size_t row) {
    json_t *grades = json_object();
    for (size_t k = 0; grades && k < f->grades->n; k++) {
        if (!f->grades->lines[cell * f->grades->n + k]) continue;
        json_object_set_new(grades, f->grades->names[k], number_or_null(hn_output_grade(f->grades, cell, k, row)));
    }
    return grades;
}

static json_t *row_json(const hn_cell *cell, const hn_prediction *p) {
    char run[32];
    const hn_run *r = cell->result.run;
    snprintf(run, sizeof run, "r%lld", (long long)r->id);
    return json_pack("{s:s, s:s?, s:s?, s:O, s:i, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:o, s:o, s:b, s:o, s:o}",
                     "run", run, "prompt", r->spec.prompt_name, "model", r->spec.model_name, "set", cell->set, "repeat",
                     cell->repeat, "case", text_or_null(p->case_id), "group", text_or_null(p->group), "target",
                     text_or_null(p->target), "answer", text_or_null(p->value), "correct", p->correct, "probability",
                     number_or_null(confidence_of(&cell->result.report, p)), "prompt_tokens",
                     (json_int_t)p->prompt_tokens, "completion_tokens", (json_int_t)p->completion_tokens, "latency_ms",
                     number_or_null(p->prefill_ms + p->decode_ms), "finish", text_or_null(p->finish), "cached",
                     p->from_cache, "error", text_or_null(p->error), "text", text_or_null(p->text));
}

hn_status hn_eval_output_jsonl(const hn_eval_output *f, hn_buf *out, hn_error *err) {
    for (size_t c = 0; c < f->matrix->n_cells; c++) {
        const hn_cell *cell = &f->matrix->cells[c];
        for (size_t i = 0; i < cell->result.predictions.n; i++) {
            json_t *row = row_json(cell, &cell->result.predictions.rows[i]);
            if (!row) return hn_fail_memory(err, 0);
            if (f->grades && f->grades->n) json_object_set_new(row, "grades", grades_json(f, c, i));
            hn_json_write(row, NULL, out);
            hn_buf_append_char(out, '\n');
            json_decref(row);
        }
    }
    return hn_buf_check(out, "the results", err);
}

/* Quoted where it must be (RFC 4180); what is no UTF-8 becomes U+FFFD. */
static void csv_text(const char *text, hn_buf *out) {
    if (!text) text = "";
    size_t n = strlen(text);
    bool quote = strpbrk(text, ",\"\r\n") || (n && (text[0] == ' ' || text[n - 1] == ' '));
    if (quote) hn_buf_append_char(out, '"');
    for (size_t i = 0; i < n;) {
        uint32_t cp;
        i += hn_utf8_decode(text + i, n - i, &cp);
        if (cp == '"') hn_buf_append_char(out, '"');
        hn_buf_append_codepoint(out, cp);
    }
    if (quote) hn_buf_append_char(out, '"');
}

static void csv_next(const char *text, hn_buf *out) {
    hn_buf_append_char(out, ',');
    csv_text(text, out);
}

static void csv_number(double x, hn_buf *out) {
    hn_buf_append_char(out, ',');
    if (isfinite(x)) hn_json_write_real(x, out);
}

static void csv_row(const hn_eval_output *f, size_t cell_index, const char *parameters, size_t row, hn_buf *out) {
    const hn_cell *cell = &f->matrix->cells[cell_index];
    const hn_prediction *p = &cell->result.predictions.rows[row];
    const hn_run *r = cell->result.run;
    hn_buf_appendf(out, "r%lld", (long long)r->id);
    csv_next(r->spec.prompt_name, out);
    csv_next(r->spec.model_name, out);
    csv_next(parameters, out);
    hn_buf_appendf(out, ",%d", cell->repeat);
    csv_next(p->case_id, out);
    csv_next(p->group, out);
    csv_next(p->target, out);
    csv_next(p->value, out);
    hn_buf_appendf(out, ",%d", p->correct);
    csv_number(confidence_of(&cell->result.report, p), out);
    hn_buf_appendf(out, ",%lld,%lld", (long long)p->prompt_tokens, (long long)p->completion_tokens);
    csv_number(p->prefill_ms + p->decode_ms, out);
    csv_next(p->finish, out);
    hn_buf_appendf(out, ",%d", p->from_cache);
    csv_next(p->error, out);
    csv_next(p->text, out);
    for (size_t k = 0; f->grades && k < f->grades->n; k++)
        csv_number(hn_output_grade(f->grades, cell_index, k, row), out);
    hn_buf_append_str(out, "\r\n");
}

hn_status hn_eval_output_csv(const hn_eval_output *f, hn_buf *out, hn_error *err) {
    const hn_eval_matrix *m = f->matrix;
    hn_buf_append_str(out,
                      "run,prompt,model,parameters,repeat,case,group,target,answer,correct,probability,prompt_tokens,"
                      "completion_tokens,latency_ms,finish,cached,error,text");
    for (size_t k = 0; f->grades && k < f->grades->n; k++) {
        char name[300];
        snprintf(name, sizeof name, "grade %.280s", f->grades->names[k]);
        csv_next(name, out);
    }
    hn_buf_append_str(out, "\r\n");
    for (size_t i = 0; i < m->n_candidates; i++)
        for (size_t k = 0; k < m->candidates[i].n_cells; k++) {
            size_t cell = m->candidates[i].first + k;
            for (size_t row = 0; row < m->cells[cell].result.predictions.n; row++)
                csv_row(f, cell, m->candidates[i].parameters, row, out);
        }
    return hn_buf_check(out, "the results", err);
}

/* ---- writing ---- */

static hn_status make_text(hn_eval_format format, const hn_eval_output *f, hn_buf *out, hn_error *err) {
    switch (format) {
    case HN_EVAL_JSON:
        hn_json_write(f->json, &(hn_json_style){.indent = 2}, out);
        hn_buf_append_char(out, '\n');
        return hn_buf_check(out, "the results", err);
    case HN_EVAL_JSONL: return hn_eval_output_jsonl(f, out, err);
    case HN_EVAL_CSV: return hn_eval_output_csv(f, out, err);
    case HN_EVAL_MARKDOWN: return hn_eval_output_markdown(f, out, err);
    case HN_EVAL_JUNIT: return hn_eval_output_junit(f, out, err);
    }
    return HN_OK;
}

hn_status hn_eval_output_write(const char *path, const hn_eval_output *f, hn_error *err) {
    hn_eval_format format;
    hn_buf text;
    HN_TRY(hn_eval_output_format(path, &format, err));
    hn_buf_init(&text, 0);
    hn_status st = make_text(format, f, &text, err);
    if (st == HN_OK) st = hn_file_write_atomic(path, hn_buf_str(&text), text.len, err);
    hn_buf_free(&text);
    return st;
}
