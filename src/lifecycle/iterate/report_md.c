/* A run as a Markdown summary; see report_run.h. */
#include "lifecycle/iterate/report_run.h"

#include "base/clock.h"
#include "base/str.h"
#include "format/markdown.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CONFUSIONS_SHOWN = 10, WRONG_SHOWN = 10, CLASSES_SHOWN = 100, EXCERPT = 300 };

static void append_percent(hn_estimate e, hn_buf *out) {
    if (!isfinite(e.value))
        hn_buf_append_str(out, "-");
    else if (!isfinite(e.low) || !isfinite(e.high))
        hn_buf_appendf(out, "%.1f %%", 100 * e.value);
    else
        hn_buf_appendf(out, "%.1f %% [%.1f, %.1f]", 100 * e.value, 100 * e.low, 100 * e.high);
}

static void fact(hn_buf *out, const char *name, const char *text) {
    if (!text || !*text) return;
    hn_buf_appendf(out, "| %s | ", name);
    hn_md_append_cell(out, text);
    hn_buf_append_str(out, " |\n");
}

static void append_facts(const hn_report_run *r, hn_buf *out) {
    const hn_run *run = r->detail.run;
    char when[32], took[32], cases[80];
    hn_buf_append_str(out, "| | |\n|---|---|\n");
    fact(out, "prompt", run->spec.prompt_name);
    fact(out, "model", run->spec.model_name);
    snprintf(cases, sizeof cases, "%lld of the %s split", (long long)run->spec.n_cases,
             run->spec.split ? run->spec.split : "");
    fact(out, "cases", cases);
    fact(out, "run", hn_clock_format(run->started_ms, false, when));
    if (strcmp(run->state, "done") == 0)
        fact(out, "took", hn_format_duration((double)(run->finished_ms - run->started_ms) / 1000, took));
    else
        fact(out, "state", run->state);
    fact(out, "tags", run->tags);
    fact(out, "how", run->spec.parameters_json);
    fact(out, "computed", run->spec.numeric_path);
    fact(out, "data", run->spec.dataset_hash);
    fact(out, "id", run->content_id);
}

static void metric_row(hn_buf *out, const char *name, hn_estimate accuracy, hn_estimate f1, bool choice) {
    hn_buf_append_str(out, "| ");
    hn_md_append_cell(out, name);
    hn_buf_append_str(out, " | ");
    append_percent(accuracy, out);
    if (choice) {
        hn_buf_append_str(out, " | ");
        append_percent(f1, out);
    }
    hn_buf_append_str(out, " |\n");
}

static void append_metrics(const hn_report_run *r, hn_buf *out) {
    const hn_report *report = &r->detail.report;
    const hn_baselines *b = &r->baselines;
    bool choice = r->detail.n_labels > 0;
    char label[300];
    hn_buf_appendf(out, "\n| | accuracy |%s\n|---|---:|%s\n", choice ? " macro F1 |" : "", choice ? "---:|" : "");
    snprintf(label, sizeof label, "always %.200s", b->known ? b->majority_label : "");
    if (b->known) metric_row(out, label, b->majority.accuracy, b->majority.macro_f1, choice);
    if (b->known) metric_row(out, "bag of words", b->bag_of_words.accuracy, b->bag_of_words.macro_f1, choice);
    snprintf(label, sizeof label, "r%lld %.200s", (long long)r->detail.run->id,
             r->detail.run->spec.prompt_name ? r->detail.run->spec.prompt_name : "");
    metric_row(out, label, report->accuracy, report->macro_f1, choice);
    hn_buf_appendf(out, "\n%zu of %zu right%s", report->n_correct, report->n,
                   report->grouped ? " (the interval allows for related cases)" : "");
    if (report->n_invalid) hn_buf_appendf(out, ", %zu without a valid answer", report->n_invalid);
    if (report->n_failed) hn_buf_appendf(out, ", %zu not answered", report->n_failed);
    hn_buf_append_str(out, ".\n");
    if (isfinite(report->latency_median_ms))
        hn_buf_appendf(out, "Half of the answers took up to %.0f ms, 95 %% up to %.0f ms.\n", report->latency_median_ms,
                       report->latency_p95_ms);
    for (size_t i = 0; i < r->goals.n; i++) {
        hn_buf_append_str(out, i ? "- " : "\n- ");
        hn_md_append_line(out, r->goals.items[i].text, 0);
        hn_buf_append_str(out, "\n");
    }
}

static void append_graders(const hn_report_run *r, hn_buf *out) {
    if (r->n_graders) hn_buf_append_str(out, "\n| grader | mean | answers |\n|---|---:|---:|\n");
    for (size_t g = 0; g < r->n_graders; g++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = r->grader_starts[g]; i < r->grader_starts[g + 1]; i++) {
            if (!isfinite(r->scores.rows[i].value)) continue;
            sum += r->scores.rows[i].value;
            n++;
        }
        hn_buf_append_str(out, "| ");
        hn_md_append_cell(out, r->graders[g]);
        if (n)
            hn_buf_appendf(out, " | %.4g | %zu |\n", sum / (double)n, n);
        else
            hn_buf_append_str(out, " | - | 0 |\n");
    }
}

static void append_classes(const hn_report_run *r, hn_buf *out) {
    const hn_run_detail *d = &r->detail;
    hn_confused pairs[CONFUSIONS_SHOWN];
    if (d->n_labels == 0 || d->report.n == 0) return;
    hn_buf_append_str(
        out, "\n## Labels\n\n| label | cases | answers | precision | recall | F1 |\n|---|---:|---:|---:|---:|---:|\n");
    for (size_t l = 0; l < d->n_labels && l < CLASSES_SHOWN; l++) {
        hn_class_metrics m = hn_confusion_class(&d->report.confusion, l);
        hn_buf_append_str(out, "| ");
        hn_md_append_cell(out, d->labels[l]);
        hn_buf_appendf(out, " | %llu | %llu | ", (unsigned long long)m.support, (unsigned long long)m.predicted);
        hn_buf_appendf(out, m.predicted ? "%.1f %% | " : "- | ", 100 * m.precision);
        hn_buf_appendf(out, m.support ? "%.1f %% | " : "- | ", 100 * m.recall);
        hn_buf_appendf(out, "%.1f %% |\n", 100 * m.f1);
    }
    size_t n = hn_report_confused(&d->report, pairs, CONFUSIONS_SHOWN);
    if (n) hn_buf_append_str(out, "\n## Taken for another\n\n| target | answer | cases |\n|---|---|---:|\n");
    for (size_t i = 0; i < n; i++) {
        hn_buf_append_str(out, "| ");
        hn_md_append_cell(out, d->labels[pairs[i].truth]);
        hn_buf_append_str(out, " | ");
        hn_md_append_cell(out, pairs[i].answer < d->n_labels ? d->labels[pairs[i].answer] : "(no valid answer)");
        hn_buf_appendf(out, " | %llu |\n", (unsigned long long)pairs[i].n);
    }
}

static int by_confidence(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    double p = hn_run_detail_confidence(*x), q = hn_run_detail_confidence(*y);
    if (isnan(p)) p = 0;
    if (isnan(q)) q = 0;
    if (p != q) return p > q ? -1 : 1;
    return ((*x)->position > (*y)->position) - ((*x)->position < (*y)->position);
}

static hn_status append_wrong(const hn_report_run *r, hn_buf *out, hn_error *err) {
    const hn_prediction_list *list = &r->detail.list;
    const hn_prediction **wrong = hn_alloc((list->n + 1) * sizeof *wrong);
    size_t n = 0;
    hn_status st = wrong ? HN_OK : hn_fail_memory(err, list->n * sizeof *wrong);
    for (size_t i = 0; st == HN_OK && i < list->n; i++)
        if (!list->rows[i].correct) wrong[n++] = &list->rows[i];
    if (st == HN_OK) qsort(wrong, n, sizeof *wrong, by_confidence);
    if (n) hn_buf_appendf(out, "\n## Wrong answers (%zu%s)\n\n", n, n > WRONG_SHOWN ? ", the surest first" : "");
    for (size_t i = 0; st == HN_OK && i < n && i < WRONG_SHOWN; i++) {
        hn_buf text;
        hn_buf_init(&text, 0);
        double confidence = hn_run_detail_confidence(wrong[i]);
        st = hn_report_case_text(r, wrong[i]->case_id, &text, err);
        hn_buf_append_str(out, "- **");
        hn_md_append_line(out, wrong[i]->case_id, 0);
        hn_buf_append_str(out, "** ");
        hn_md_append_line(out, hn_buf_str(&text), EXCERPT);
        hn_buf_append_str(out, "  \n  target ");
        hn_md_append_line(out, wrong[i]->target ? wrong[i]->target : "(none)", EXCERPT);
        hn_buf_append_str(out, ", answered ");
        hn_md_append_line(out,
                          wrong[i]->error   ? wrong[i]->error
                          : wrong[i]->value ? wrong[i]->value
                                            : "nothing valid",
                          EXCERPT);
        if (isfinite(confidence)) hn_buf_appendf(out, " (%.0f %%)", 100 * confidence);
        hn_buf_append_str(out, "\n");
        hn_buf_free(&text);
    }
    hn_free(wrong);
    return st;
}

static void append_notes(const hn_report_run *r, hn_buf *out) {
    char when[32];
    if (r->notes.n) hn_buf_append_str(out, "\n## Notes\n\n");
    for (size_t i = 0; i < r->notes.n; i++) {
        hn_buf_appendf(out, "- %s: ", hn_clock_format(r->notes.rows[i].at_ms, false, when));
        hn_md_append_line(out, r->notes.rows[i].text, 0);
        hn_buf_append_str(out, "\n");
    }
}

hn_status hn_report_markdown(const hn_report_run *r, hn_buf *out, hn_error *err) {
    const hn_run *run = r->detail.run;
    hn_buf_appendf(out, "# r%lld ", (long long)run->id);
    hn_md_append_line(out, run->spec.prompt_name ? run->spec.prompt_name : "", 0);
    hn_buf_append_str(out, "\n\n");
    append_facts(r, out);
    if (r->detail.report.n) {
        append_metrics(r, out);
        append_graders(r, out);
        append_classes(r, out);
        HN_TRY(append_wrong(r, out, err));
    }
    append_notes(r, out);
    if (r->detail.prompt_text) {
        hn_buf_append_str(out, "\n## The prompt\n\n");
        hn_md_append_code(out, "yaml", r->detail.prompt_text);
    }
    return hn_buf_check(out, "the report", err);
}

void hn_report_markdown_runs(const hn_run_lines *lines, hn_buf *out) {
    hn_buf_append_str(out,
                      "| run | prompt | model | split | cases | accuracy | tags |\n|---|---|---|---|---:|---:|---|\n");
    for (size_t i = 0; i < lines->n; i++) {
        const hn_run_line *l = &lines->rows[i];
        const char *texts[] = {l->prompt_name, l->model_name, l->split};
        hn_buf_appendf(out, "| r%lld%s |", (long long)l->id, l->starred ? " \\*" : "");
        for (size_t k = 0; k < 3; k++) {
            hn_buf_append_char(out, ' ');
            hn_md_append_cell(out, texts[k] ? texts[k] : "");
            hn_buf_append_str(out, " |");
        }
        hn_buf_appendf(out, " %lld | ", (long long)l->n_cases);
        append_percent((hn_estimate){l->accuracy, l->low, l->high}, out);
        hn_buf_append_str(out, " | ");
        hn_md_append_cell(out, l->tags);
        hn_buf_append_str(out, " |\n");
    }
}
