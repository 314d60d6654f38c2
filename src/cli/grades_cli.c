/* Graders' results for people; see grades_cli.h. */
#include "cli/grades_cli.h"

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
