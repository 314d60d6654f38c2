/* Runs as a page that stands alone; see report_run.h. */
#include "lifecycle/iterate/report_run.h"

#include "base/clock.h"
#include "base/str.h"
#include "format/markdown.h"
#include "lifecycle/iterate/history.h"
#include "lifecycle/iterate/report_page.h"
#include "lifecycle/iterate/report_svg.h"
#include "lifecycle/iterate/report_tune.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OVERVIEW_MAX = 60, WRONG_MAX = 2000, CLASSES_MAX = 100, EXCERPT = 140, BINS = 10 };

static void text(hn_buf *out, const char *value) { hn_html_append(out, value ? value : ""); }

static void element(hn_buf *out, const char *open, const char *value, const char *close) {
    hn_buf_append_str(out, open);
    text(out, value);
    hn_buf_append_str(out, close);
}

static void percent(hn_buf *out, hn_estimate e) {
    if (!isfinite(e.value))
        hn_buf_append_str(out, "-");
    else if (!isfinite(e.low) || !isfinite(e.high))
        hn_buf_appendf(out, "%.1f&nbsp;%%", 100 * e.value);
    else
        hn_buf_appendf(out, "%.1f&nbsp;%% [%.1f,&nbsp;%.1f]", 100 * e.value, 100 * e.low, 100 * e.high);
}

static const char *json_text(const json_t *object, const char *key) {
    const char *found = json_string_value(json_object_get(object, key));
    return found ? found : "";
}

/* ---- overview ---- */

static hn_status add_interval(hn_svg_interval **rows, size_t *n, size_t *capacity, hn_svg_interval row, hn_error *err) {
    if (!hn_grow((void **)rows, capacity, *n + 1, sizeof **rows)) return hn_fail_memory(err, (*n + 1) * sizeof **rows);
    (*rows)[(*n)++] = row;
    return HN_OK;
}

/* Runs on one split only are set side by side: that of the first run in detail. */
static hn_status overview_rows(const hn_report_page *p, hn_arena *names, hn_svg_interval **rows, size_t *n,
                               hn_error *err) {
    size_t capacity = 0;
    const hn_report_run *first = &p->runs[0];
    const hn_baselines *b = &first->baselines;
    const char *split = first->detail.run->spec.split ? first->detail.run->spec.split : "";
    char name[300];
    if (b->known) {
        snprintf(name, sizeof name, "always %.200s", b->majority_label);
        const char *kept = hn_arena_strdup(names, name);
        if (!kept) return hn_fail_memory(err, sizeof name);
        hn_estimate m = b->majority.accuracy, w = b->bag_of_words.accuracy;
        HN_TRY(add_interval(rows, n, &capacity, (hn_svg_interval){kept, m.value, m.low, m.high, true}, err));
        HN_TRY(add_interval(rows, n, &capacity, (hn_svg_interval){"bag of words", w.value, w.low, w.high, true}, err));
    }
    for (size_t i = p->lines->n; i-- > 0 && *n < OVERVIEW_MAX;) {
        const hn_run_line *l = &p->lines->rows[i];
        if (!isfinite(l->accuracy) || strcmp(l->split ? l->split : "", split) != 0) continue;
        snprintf(name, sizeof name, "r%lld %.200s", (long long)l->id, l->prompt_name ? l->prompt_name : "");
        const char *kept = hn_arena_strdup(names, name);
        if (!kept) return hn_fail_memory(err, sizeof name);
        HN_TRY(add_interval(rows, n, &capacity, (hn_svg_interval){kept, l->accuracy, l->low, l->high, false}, err));
    }
    return HN_OK;
}

static hn_status append_overview(const hn_report_page *p, hn_buf *out, hn_error *err) {
    hn_svg_interval *rows = NULL;
    size_t n = 0;
    hn_arena *names = hn_arena_create(0);
    hn_status st = names ? overview_rows(p, names, &rows, &n, err) : hn_fail_memory(err, 0);
    if (st == HN_OK) {
        hn_buf_append_str(out, "<figure>\n");
        hn_svg_intervals(rows, n, "Accuracy with 95 % intervals", out);
        hn_buf_append_str(out, "<figcaption>Accuracy with 95&nbsp;% intervals; grey: baselines that need no "
                               "model.</figcaption></figure>\n");
    }
    hn_free(rows);
    hn_arena_free(names);
    return st;
}

static void append_runs_table(const hn_run_lines *lines, hn_buf *out) {
    char when[32];
    hn_buf_append_str(out, "<table><thead><tr><th>run<th>when<th>prompt<th>model<th>split<th class=n>cases<th "
                           "class=n>accuracy<th>tags</thead><tbody>\n");
    for (size_t i = 0; i < lines->n; i++) {
        const hn_run_line *l = &lines->rows[i];
        hn_buf_appendf(out, "<tr><td>r%lld%s<td>%s", (long long)l->id, l->starred ? " \xE2\x98\x85" : "",
                       hn_clock_format(l->started_ms, false, when));
        element(out, "<td>", l->prompt_name, "");
        element(out, "<td>", l->model_name, "");
        element(out, "<td>", l->split, "");
        hn_buf_appendf(out, "<td class=n>%lld<td class=n>", (long long)l->n_cases);
        percent(out, (hn_estimate){l->accuracy, l->low, l->high});
        element(out, "<td>", l->tags, "\n");
    }
    hn_buf_append_str(out, "</tbody></table>\n");
}

/* ---- verdicts ---- */

/* What a difference is multiplied with: 100 for points. */
static double factor_of(const json_t *entry) { return json_number_value(json_object_get(entry, "factor")); }

static void append_lesson(const json_t *entry, hn_buf *out) {
    const json_t *d = json_object_get(entry, "difference");
    hn_buf_appendf(out, "<p>Against %s (", json_text(entry, "against"));
    text(out, json_text(entry, "against_prompt"));
    hn_buf_append_str(out, "): <strong class=\"");
    text(out, json_text(entry, "verdict"));
    element(out, "\">", json_text(entry, "lesson"), "</strong>");
    hn_buf_appendf(out, " [%+.1f, %+.1f]</p>\n", factor_of(entry) * json_number_value(json_object_get(d, "low")),
                   factor_of(entry) * json_number_value(json_object_get(d, "high")));
}

static void append_verdicts(const hn_report_page *p, const hn_report_run *r, hn_buf *out) {
    char name[32];
    size_t i;
    json_t *entry;
    snprintf(name, sizeof name, "r%lld", (long long)r->detail.run->id);
    json_array_foreach(json_object_get(p->history, "entries"), i, entry) {
        bool is_run = strcmp(json_text(entry, "kind"), "run") == 0 && strcmp(json_text(entry, "run"), name) == 0;
        if (is_run && *json_text(entry, "lesson")) append_lesson(entry, out);
    }
    for (size_t g = 0; g < r->goals.n; g++) {
        static const char *const classes[] = {"better", "", "worse", "soft"};
        hn_buf_appendf(out, "<p class=\"%s\">", classes[r->goals.items[g].state]);
        element(out, "", r->goals.items[g].text, "</p>\n");
    }
}

/* ---- one run ---- */

static void fact(hn_buf *out, const char *name, const char *value) {
    if (!value || !*value) return;
    element(out, "<tr><th>", name, "");
    element(out, "<td>", value, "\n");
}

static void append_facts(const hn_report_run *r, hn_buf *out) {
    const hn_run *run = r->detail.run;
    const hn_report *report = &r->detail.report;
    char line[200], when[32], took[32];
    hn_buf_append_str(out, "<table><tbody>\n");
    if (!hn_report_is_tuning(run)) {
        hn_buf_append_str(out, "<tr><th>accuracy<td>");
        percent(out, report->accuracy);
        hn_buf_appendf(out, " (%zu of %zu)\n", report->n_correct, report->n);
    }
    if (r->detail.n_labels) {
        hn_buf_append_str(out, "<tr><th>macro F1<td>");
        percent(out, report->macro_f1);
        hn_buf_append_char(out, '\n');
    }
    fact(out, "model", run->spec.model_name);
    snprintf(line, sizeof line, "%lld of the %.40s split", (long long)run->spec.n_cases,
             run->spec.split ? run->spec.split : "");
    fact(out, "cases", line);
    snprintf(line, sizeof line, "%s, took %s", hn_clock_format(run->started_ms, false, when),
             hn_format_duration((double)(run->finished_ms - run->started_ms) / 1000, took));
    if (strcmp(run->state, "done") == 0) fact(out, "when", line);
    if (isfinite(report->latency_median_ms)) {
        snprintf(line, sizeof line, "half within %.0f ms, 95 %% within %.0f ms", report->latency_median_ms,
                 report->latency_p95_ms);
        fact(out, "time of an answer", line);
    }
    snprintf(line, sizeof line, "%lld read, %lld written", (long long)report->prompt_tokens,
             (long long)report->completion_tokens);
    fact(out, "tokens", line);
    fact(out, "tags", run->tags);
    fact(out, "how", run->spec.parameters_json);
    fact(out, "computed", run->spec.numeric_path);
    fact(out, "data", run->spec.dataset_hash);
    fact(out, "id", run->content_id);
    for (size_t i = 0; i < r->notes.n; i++) fact(out, "note", r->notes.rows[i].text);
    hn_buf_append_str(out, "</tbody></table>\n");
}

static void append_graders(const hn_report_run *r, hn_buf *out) {
    if (r->n_graders)
        hn_buf_append_str(
            out, "<h3>Graders</h3>\n<table><thead><tr><th>grader<th class=n>mean<th class=n>answers</thead><tbody>\n");
    for (size_t g = 0; g < r->n_graders; g++) {
        double sum = 0;
        size_t n = 0;
        for (size_t i = r->grader_starts[g]; i < r->grader_starts[g + 1]; i++) {
            if (!isfinite(r->scores.rows[i].value)) continue;
            sum += r->scores.rows[i].value;
            n++;
        }
        element(out, "<tr><td>", r->graders[g], "<td class=n>");
        if (n) hn_buf_appendf(out, "%.4g", sum / (double)n);
        hn_buf_appendf(out, "<td class=n>%zu\n", n);
    }
    if (r->n_graders) hn_buf_append_str(out, "</tbody></table>\n");
}

static hn_status append_classes(const hn_report_run *r, hn_buf *out, hn_error *err) {
    const hn_run_detail *d = &r->detail;
    size_t n = d->n_labels < CLASSES_MAX ? d->n_labels : CLASSES_MAX;
    if (n == 0 || d->report.n == 0) return HN_OK;
    hn_svg_bar *bars = hn_calloc(n, sizeof *bars);
    if (!bars) return hn_fail_memory(err, n * sizeof *bars);
    for (size_t l = 0; l < n; l++) {
        hn_class_metrics m = hn_confusion_class(&d->report.confusion, l);
        bars[l] =
            (hn_svg_bar){d->labels[l], m.support ? m.recall : (double)NAN, m.predicted ? m.precision : (double)NAN};
    }
    hn_buf_append_str(out, "<h3>Labels</h3>\n<figure>\n");
    hn_svg_bars(bars, n, "recall", "precision", "Recall and precision of each label", out);
    hn_buf_append_str(out,
                      "<figcaption>Recall: of a label's cases, how many were found. Precision: of the answers with it, "
                      "how many were right.</figcaption></figure>\n<h3>What was taken for what</h3>\n<figure>\n");
    hn_svg_confusion(d->labels, d->n_labels, &d->report.confusion, out);
    hn_buf_append_str(out, "<figcaption>Targets down, answers across, the last column without a valid answer; green: "
                           "right. The darker, the larger the share of the target's cases.</figcaption></figure>\n");
    hn_free(bars);
    return HN_OK;
}

static hn_status append_reliability(const hn_report_run *r, hn_buf *out, hn_error *err) {
    const hn_run_detail *d = &r->detail;
    hn_calibration_bin bins[BINS];
    size_t n = 0, n_labels = d->n_labels;
    double *p = hn_alloc((d->list.n * n_labels + 1) * sizeof *p);
    int32_t *truth = hn_alloc((d->list.n + 1) * sizeof *truth);
    hn_status st = p && truth ? HN_OK : hn_fail_memory(err, d->list.n * n_labels * sizeof *p);
    for (size_t i = 0; st == HN_OK && n_labels && i < d->list.n; i++) {
        const hn_prediction *row = &d->list.rows[i];
        if (!row->probabilities || row->n_probabilities != n_labels || !row->target) continue;
        int32_t label = -1;
        for (size_t l = 0; l < n_labels && label < 0; l++)
            if (strcmp(d->labels[l], row->target) == 0) label = (int32_t)l;
        if (label < 0 || !isfinite(row->probabilities[0])) continue;
        memcpy(p + n * n_labels, row->probabilities, n_labels * sizeof *p);
        truth[n++] = label;
    }
    if (st == HN_OK && n) {
        hn_calibration c = hn_calibration_measure(p, truth, n, n_labels, BINS, bins);
        hn_buf_append_str(out, "<h3>How far probabilities can be trusted</h3>\n<figure>\n");
        hn_svg_reliability(bins, BINS, c.ece, out);
        hn_buf_append_str(out, "<figcaption>On the dashed line an answer given with 80&nbsp;% is right 80 times of "
                               "100. Bars: how many cases.</figcaption></figure>\n");
    }
    hn_free(p);
    hn_free(truth);
    return st;
}

/* ---- wrong cases ---- */

static int by_confidence(const void *a, const void *b) {
    const hn_prediction *const *x = a, *const *y = b;
    double p = hn_run_detail_confidence(*x), q = hn_run_detail_confidence(*y);
    if (isnan(p)) p = 0;
    if (isnan(q)) q = 0;
    if (p != q) return p > q ? -1 : 1;
    return ((*x)->position > (*y)->position) - ((*x)->position < (*y)->position);
}

/* The first characters on one line; invalid bytes count as characters, which the escaping shows as such. */
static void excerpt(hn_buf *out, const char *value) {
    hn_buf line;
    size_t n = 0;
    bool space = false;
    hn_buf_init(&line, 0);
    for (; *value; value++) {
        bool blank = *value == ' ' || *value == '\n' || *value == '\t' || *value == '\r';
        bool inner = ((unsigned char)*value & 0xC0) == 0x80;
        if (!blank && !inner && n++ >= EXCERPT) break;
        if (blank) {
            space = line.len > 0;
            continue;
        }
        if (space) hn_buf_append_char(&line, ' ');
        space = false;
        hn_buf_append_char(&line, *value);
    }
    text(out, hn_buf_str(&line));
    if (*value) hn_buf_append_str(out, " \xE2\x80\xA6");
    hn_buf_free(&line);
}

static hn_status append_case(const hn_report_run *r, const hn_prediction *p, hn_buf *out, hn_error *err) {
    hn_buf input;
    hn_buf_init(&input, 0);
    double confidence = hn_run_detail_confidence(p);
    hn_status st = hn_report_case_text(r, p->case_id, &input, err);
    hn_buf_append_str(out, "<details class=case><summary>");
    element(out, "<strong>", p->case_id, "</strong> ");
    element(out, "", p->target ? p->target : "(no target)", " \xE2\x86\x92 ");
    excerpt(out, p->error ? p->error : p->value ? p->value : "(nothing valid)");
    if (isfinite(confidence)) hn_buf_appendf(out, " <span class=soft>%.0f&nbsp;%%</span>", 100 * confidence);
    hn_buf_append_str(out, " <span class=soft>");
    excerpt(out, hn_buf_str(&input));
    hn_buf_append_str(out, "</span></summary>\n");
    if (input.len) element(out, "<p>", hn_buf_str(&input), "</p>\n");
    if (p->text && *p->text) element(out, "<p class=soft>written: ", p->text, "</p>\n");
    hn_buf_append_str(out, "</details>\n");
    hn_buf_free(&input);
    return st;
}

static hn_status append_wrong(const hn_report_run *r, hn_buf *out, hn_error *err) {
    const hn_prediction_list *list = &r->detail.list;
    const hn_prediction **wrong = hn_alloc((list->n + 1) * sizeof *wrong);
    size_t n = 0;
    hn_status st = wrong ? HN_OK : hn_fail_memory(err, list->n * sizeof *wrong);
    for (size_t i = 0; st == HN_OK && i < list->n; i++)
        if (!list->rows[i].correct) wrong[n++] = &list->rows[i];
    if (st == HN_OK && n) {
        long long id = (long long)r->detail.run->id;
        qsort(wrong, n, sizeof *wrong, by_confidence);
        hn_buf_appendf(
            out,
            "<h3>Wrong answers (%zu)</h3>\n<p><input class=search type=search data-list=\"wrong-%lld\" "
            "placeholder=\"search in them\" aria-label=\"search in the wrong answers\"></p>\n<div id=\"wrong-%lld\">\n",
            n, id, id);
        for (size_t i = 0; st == HN_OK && i < n && i < WRONG_MAX; i++) st = append_case(r, wrong[i], out, err);
        hn_buf_append_str(out, "</div>\n");
        if (n > WRONG_MAX)
            hn_buf_appendf(out,
                           "<p class=soft>The surest %d are shown; `hone export r%lld --format csv` has all.</p>\n",
                           WRONG_MAX, id);
    }
    hn_free(wrong);
    return st;
}

static hn_status append_run(const hn_report_page *p, const hn_report_run *r, hn_buf *out, hn_error *err) {
    hn_buf_appendf(out, "<h2 id=\"r%lld\">r%lld ", (long long)r->detail.run->id, (long long)r->detail.run->id);
    element(out, "", r->detail.run->spec.prompt_name, "</h2>\n");
    append_facts(r, out);
    if (hn_report_is_tuning(r->detail.run)) HN_TRY(hn_report_tuning(r->detail.summary, out, err));
    if (r->detail.report.n) {
        append_verdicts(p, r, out);
        append_graders(r, out);
        HN_TRY(append_classes(r, out, err));
        HN_TRY(append_reliability(r, out, err));
        HN_TRY(append_wrong(r, out, err));
    }
    if (r->detail.prompt_text) element(out, "<h3>The prompt</h3>\n<pre>", r->detail.prompt_text, "</pre>\n");
    return HN_OK;
}

static void append_lessons(const json_t *history, const char *key, const char *title, hn_buf *out) {
    const json_t *list = json_object_get(json_object_get(history, "lessons"), key);
    size_t i;
    json_t *lesson;
    if (json_array_size(list) == 0) return;
    element(out, "<h3>", title, "</h3>\n<ul>\n");
    json_array_foreach(list, i, lesson) {
        element(out, "<li>", json_text(lesson, "lesson"), "");
        hn_buf_appendf(out, " <span class=soft>(%s against %s)</span>\n", json_text(lesson, "run"),
                       json_text(lesson, "against"));
    }
    hn_buf_append_str(out, "</ul>\n");
}

hn_status hn_report_html(const hn_report_page *p, hn_buf *out, hn_error *err) {
    hn_report_page_begin(p->title, out);
    element(out, "<h1>", p->title, "</h1>\n");
    element(out, "<p class=soft>", json_text(p->history, "goal"), "</p>\n");
    if (p->n) HN_TRY(append_overview(p, out, err));
    if (p->lines->n > 1) append_runs_table(p->lines, out);
    if (p->lines->n > 1) {
        append_lessons(p->history, "helped", "What helped", out);
        append_lessons(p->history, "hurt", "What hurt", out);
        append_lessons(p->history, "undecided", "What made no difference that could be seen", out);
    }
    for (size_t i = 0; i < p->n; i++) HN_TRY(append_run(p, &p->runs[i], out, err));
    hn_report_page_end(out);
    return hn_buf_check(out, "the page", err);
}
