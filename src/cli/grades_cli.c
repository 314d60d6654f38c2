/* Graders' results for people; see grades_cli.h. */
#include "cli/grades_cli.h"

#include "store/score.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- hone eval ---- */

static hn_status read_all(const hn_run *const *runs, size_t n, hn_grade_lines **all, hn_error *err) {
    *all = hn_calloc(n ? n : 1, sizeof **all);
    if (!*all) return hn_fail_memory(err, n * sizeof **all);
    for (size_t i = 0; i < n; i++) HN_TRY(hn_grade_lines_read(runs[i]->summary_json, &(*all)[i], err));
    return HN_OK;
}

static const char *head_of(const hn_grade_line *line, char out[80]) {
    snprintf(out, 80, "%s%s", line->name, line->traits.lower_is_better ? " (less is better)" : "");
    return out;
}

static const char *cell_of(const hn_grade_lines *lines, const char *grader, char out[80]) {
    const hn_grade_line *line = hn_grade_lines_find(lines, grader);
    return line ? hn_grade_text(line, out) : "-";
}

static void print_corpus_values(hn_cli *cli, const char *const *names, const hn_grade_lines *all, size_t n) {
    for (size_t i = 0; i < n; i++) {
        bool first = true;
        for (size_t k = 0; k < all[i].n; k++) {
            const hn_grade_line *line = &all[i].lines[k];
            if (!line->corpus_name || !isfinite(line->corpus)) continue;
            hn_output_print(cli->out, "%s%s %.2f", first ? "over all answers together: " : ", ", line->corpus_name,
                            line->corpus);
            first = false;
        }
        if (!first) hn_output_print(cli->out, "%s%s%s\n", n > 1 ? " (" : "", n > 1 ? names[i] : "", n > 1 ? ")" : "");
    }
}

static void print_gaps(hn_cli *cli, const char *const *names, const hn_grade_lines *all, size_t n) {
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < all[i].n; k++) {
            const hn_grade_line *line = &all[i].lines[k];
            if (!line->n_missing) continue;
            hn_output_print(cli->out, "%s%s%s: %s has nothing to say of %zu of %zu answers",
                            hn_output_style(cli->out, HN_STYLE_WARN), names[i],
                            hn_output_style(cli->out, HN_STYLE_NONE), line->name, line->n_missing,
                            line->n + line->n_missing);
            if (line->n_failed) hn_output_print(cli->out, " (it failed on %zu)", line->n_failed);
            hn_output_print(cli->out, "\n");
        }
    }
}

/* What a grader's figure is worth, where the grader says so: a judge's agreement with people, a similarity's AUC. */
static void print_remarks(hn_cli *cli, const hn_grade_line *line, const char *indent) {
    const json_t *auc = json_object_get(line->json, "auc_same_target");
    if (json_is_number(auc))
        hn_output_print(
            cli->out,
            "%s%s: AUC %.3f, the share of pairs of train texts where two with one target are nearer than two with "
            "different ones\n",
            indent, line->name, json_number_value(auc));
    else if (auc)
        hn_output_print(cli->out, "%s%s: targets do not repeat, so nothing shows what it is worth\n", indent,
                        line->name);
    const json_t *sentences = json_object_get(line->json, "sentences");
    for (size_t i = 0; i < json_array_size(sentences); i++)
        hn_output_print(cli->out, "%s%s: %s\n", indent, line->name, json_string_value(json_array_get(sentences, i)));
}

enum { RUNS_ACROSS = 3 };

/* Few runs: graders down; many: runs down. */
static hn_status print_cells(hn_cli *cli, const char *const *names, const hn_run *const *runs,
                             const hn_grade_lines *all, const hn_grade_lines *heads, size_t n, hn_error *err) {
    char text[80], head[160];
    bool across = n <= RUNS_ACROSS;
    hn_table *t = hn_table_create(cli->out);
    hn_table_column(t, "grades", HN_ALIGN_LEFT);
    if (!across) hn_table_column(t, "run", HN_ALIGN_LEFT);
    for (size_t i = 0; across && i < n; i++) {
        snprintf(head, sizeof head, "%.100s (r%lld)", names[i], (long long)runs[i]->id);
        hn_table_column(t, head, HN_ALIGN_RIGHT);
    }
    for (size_t k = 0; !across && k < heads->n; k++)
        hn_table_column(t, head_of(&heads->lines[k], text), HN_ALIGN_RIGHT);
    for (size_t k = 0; across && k < heads->n; k++) {
        hn_table_row(t);
        hn_table_cell(t, "%s", head_of(&heads->lines[k], text));
        for (size_t i = 0; i < n; i++) hn_table_cell(t, "%s", cell_of(&all[i], heads->lines[k].name, text));
    }
    for (size_t i = 0; !across && i < n; i++) {
        hn_table_row(t);
        hn_table_cell(t, "%s", names[i]);
        hn_table_cell(t, "r%lld", (long long)runs[i]->id);
        for (size_t k = 0; k < heads->n; k++) hn_table_cell(t, "%s", cell_of(&all[i], heads->lines[k].name, text));
    }
    return hn_table_print(t, err);
}

static hn_status print_table(hn_cli *cli, const char *const *names, const hn_run *const *runs,
                             const hn_grade_lines *all, size_t n, hn_error *err) {
    const hn_grade_lines *heads = &all[0];
    for (size_t i = 1; i < n; i++)
        if (all[i].n > heads->n) heads = &all[i];
    if (heads->n == 0) return HN_OK;
    hn_output_print(cli->out, "\n");
    HN_TRY(print_cells(cli, names, runs, all, heads, n, err));
    print_corpus_values(cli, names, all, n);
    print_gaps(cli, names, all, n);
    for (size_t k = 0; k < heads->n; k++) print_remarks(cli, &heads->lines[k], "");
    return HN_OK;
}

hn_status hn_cli_grade_table(hn_cli *cli, const char *const *names, const hn_run *const *runs, size_t n,
                             hn_error *err) {
    hn_grade_lines *all;
    hn_status st = read_all(runs, n, &all, err);
    if (st == HN_OK && n) st = print_table(cli, names, runs, all, n, err);
    for (size_t i = 0; all && i < n; i++) hn_grade_lines_free(&all[i]);
    hn_free(all);
    return st;
}

/* ---- hone show ---- */

hn_status hn_cli_grade_lines(hn_cli *cli, const hn_run *run, hn_error *err) {
    hn_grade_lines lines;
    char text[80];
    HN_TRY(hn_grade_lines_read(run->summary_json, &lines, err));
    for (size_t i = 0; i < lines.n; i++) {
        const hn_grade_line *l = &lines.lines[i];
        hn_output_print(cli->out, "%-10s %s", l->name, hn_grade_text(l, text));
        if (l->corpus_name && isfinite(l->corpus))
            hn_output_print(cli->out, "  (over all answers together: %s %.2f)", l->corpus_name, l->corpus);
        if (l->n_missing) hn_output_print(cli->out, "  (nothing to say of %zu answers)", l->n_missing);
        hn_output_print(cli->out, "\n");
        print_remarks(cli, l, "           ");
    }
    hn_grade_lines_free(&lines);
    return HN_OK;
}

hn_status hn_cli_grades_json(const hn_run *run, json_t *value, hn_error *err) {
    hn_grade_lines lines;
    HN_TRY(hn_grade_lines_read(run->summary_json, &lines, err));
    bool fine = lines.n == 0 || json_object_set(value, "graders", lines.json) == 0;
    hn_grade_lines_free(&lines);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- hone compare ---- */

hn_status hn_cli_grade_verdicts(hn_cli *cli, hn_store *store, const hn_comparison *c, hn_error *err) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    hn_grader_verdict *all;
    size_t n;
    HN_TRY(hn_compare_graders(store, c, &all, &n, err));
    if (n == 0) {
        hn_free(all);
        return HN_OK;
    }
    hn_table *t = hn_table_create(cli->out);
    static const char *const heads[] = {"grades", "A", "B", "B minus A", "p", "B is"};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
        hn_table_column(t, heads[i], i && i < 5 ? HN_ALIGN_RIGHT : HN_ALIGN_LEFT);
    for (size_t i = 0; i < n; i++) {
        hn_metric_verdict *m = &all[i].v;
        hn_grade_line a = {.mean = m->a.estimate}, b = {.mean = m->b.estimate}, d = {.mean = m->verdict.difference};
        char text[3][80];
        hn_table_row(t);
        hn_table_cell(t, "%s", all[i].name);
        hn_table_cell(t, "%s", hn_grade_text(&a, text[0]));
        hn_table_cell(t, "%s", hn_grade_text(&b, text[1]));
        hn_table_cell(t, "%s", hn_grade_text(&d, text[2]));
        hn_table_cell(t, "%.2g", m->verdict.p);
        hn_table_cell(t, "%s", words[m->verdict.kind]);
    }
    hn_free(all);
    hn_output_print(cli->out, "\n");
    return hn_table_print(t, err);
}

hn_status hn_cli_grade_verdicts_json(hn_store *store, const hn_comparison *c, json_t *value, hn_error *err) {
    hn_grader_verdict *all;
    size_t n;
    HN_TRY(hn_compare_graders(store, c, &all, &n, err));
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < n; i++)
        fine = json_array_append_new(list, hn_metric_verdict_json(all[i].name, &all[i].v)) == 0;
    if (fine && n) fine = json_object_set(value, "graders", list) == 0;
    json_decref(list);
    hn_free(all);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- by the scope's metric ---- */

static hn_status judge_all(const hn_cli_metric_runs *m, hn_metric_verdict **verdicts, double **p, size_t *reference,
                           hn_error *err) {
    const hn_scope *s = m->scope;
    bool choice = s->contract.kind == HN_CONTRACT_CHOICE;
    *verdicts = NULL;
    *p = NULL;
    *reference = m->reference < m->n ? m->reference : 0;
    if (m->n < 2 || strcmp(s->metric, "accuracy") == 0) return HN_OK;
    *verdicts = hn_calloc(m->n, sizeof **verdicts);
    *p = hn_calloc(m->n, sizeof **p);
    hn_status st = *verdicts && *p ? HN_OK : hn_fail_memory(err, m->n * sizeof **verdicts);
    if (st == HN_OK)
        st = hn_metric_judge_all(
            m->store, m->runs, m->n, *reference, choice ? (const char *const *)s->contract.labels : NULL,
            choice ? s->contract.n_labels : 0, s->metric, s->smallest_difference, *verdicts, *p, err);
    if (st == HN_OK) return HN_OK;
    hn_free(*verdicts);
    hn_free(*p);
    *verdicts = NULL;
    *p = NULL;
    return st;
}

hn_status hn_cli_metric_verdicts(hn_cli *cli, const hn_cli_metric_runs *m, hn_error *err) {
    static const char *const words[] = {"cannot tell", "better", "worse", "equivalent"};
    hn_metric_verdict *all;
    double *p;
    size_t reference, n_known = 0;
    HN_TRY(judge_all(m, &all, &p, &reference, err));
    for (size_t i = 0; all && i < m->n; i++) n_known += all[i].known;
    if (n_known) hn_output_print(cli->out, "\nby %s, against %s:\n", m->scope->metric, m->names[reference]);
    for (size_t i = 0; n_known && i < m->n; i++) {
        const hn_verdict *v = &all[i].verdict;
        double f = all[i].b.factor;
        int d = f == 100 ? 1 : 3;
        if (!all[i].known) continue;
        hn_output_print(cli->out, "  %s: %s, %+.*f%s%s [%+.*f, %+.*f], p = %.2g\n", m->names[i], words[v->kind], d,
                        f * v->difference.value, *all[i].b.unit ? " " : "", all[i].b.unit, d, f * v->difference.low, d,
                        f * v->difference.high, p[i]);
    }
    if (n_known > 1) hn_output_print(cli->out, "  (p adjusted for %zu comparisons)\n", n_known);
    hn_free(all);
    hn_free(p);
    return HN_OK;
}

hn_status hn_cli_metric_verdicts_json(const hn_cli_metric_runs *m, json_t *value, hn_error *err) {
    hn_metric_verdict *all;
    double *p;
    size_t reference;
    HN_TRY(judge_all(m, &all, &p, &reference, err));
    if (!all) return HN_OK;
    json_t *list = json_array();
    bool fine = list != NULL;
    for (size_t i = 0; fine && i < m->n; i++) {
        if (!all[i].known) continue;
        json_t *one = hn_metric_verdict_json(m->scope->metric, &all[i]);
        fine = one && json_object_set_new(one, "candidate", json_string(m->names[i])) == 0 &&
               json_object_set_new(one, "reference", json_string(m->names[reference])) == 0 &&
               json_object_set_new(one, "p_holm", json_real(p[i])) == 0 && json_array_append(list, one) == 0;
        json_decref(one);
    }
    if (fine) fine = json_object_set(value, "metric_comparisons", list) == 0;
    json_decref(list);
    hn_free(all);
    hn_free(p);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}

/* ---- case by case ---- */

static json_t *score_json(const hn_score *s) {
    json_t *details = NULL, *one;
    if (s->details_json &&
        hn_json_parse(s->details_json, strlen(s->details_json), "details", 0, &details, NULL) != HN_OK)
        details = NULL;
    one = json_pack("{s:o}", "value", isfinite(s->value) ? json_real(s->value) : json_null());
    if (one && details) json_object_set(one, "details", details);
    json_decref(details);
    return one;
}

hn_status hn_cli_prediction_grades_json(hn_store *store, const hn_run *run, json_t *value, hn_error *err) {
    json_t *predictions = json_object_get(value, "predictions"), *one;
    hn_score_list scores;
    size_t i;
    if (!json_is_array(predictions)) return HN_OK;
    HN_TRY(hn_score_load(store, run->id, NULL, &scores, err));
    bool fine = true;
    for (size_t from = 0; fine && from < scores.n;) { /* a grader at a time: by position, as the predictions are */
        size_t end = from, at;
        while (end < scores.n && strcmp(scores.rows[end].grader, scores.rows[from].grader) == 0) end++;
        at = from;
        json_array_foreach(predictions, i, one) {
            json_int_t position = json_integer_value(json_object_get(one, "position"));
            while (at < end && scores.rows[at].position < position) at++;
            if (at == end || scores.rows[at].position != position) continue;
            json_t *grades = json_object_get(one, "grades");
            if (!grades && json_object_set_new(one, "grades", grades = json_object()) != 0) grades = NULL;
            fine = fine && grades &&
                   json_object_set_new(grades, scores.rows[at].grader, score_json(&scores.rows[at])) == 0;
        }
        from = end;
    }
    hn_score_list_free(&scores);
    return fine ? HN_OK : hn_fail_memory(err, 0);
}
