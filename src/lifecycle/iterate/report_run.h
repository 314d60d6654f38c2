/* All that a report of one run draws on, loaded once: answers, metrics, data as it was, baselines, goals, notes, lineage, graders' scores.
 *
 *     hn_report_run r;
 *     HN_TRY(hn_report_run_load(&(hn_report_source){store, scope, today, scope_hash}, "r7", &r, &err));
 *     hn_report_markdown(&r, &out);
 *     hn_report_run_free(&r);
 *
 * Writers append text to a buffer whose sticky error is checked at the end. Text of data, prompts and models is hostile: each format escapes it.
 * Ownership: the report owns all but store, scope and today's data. Threading: one thread. */
#ifndef HN_LIFECYCLE_REPORT_RUN_H
#define HN_LIFECYCLE_REPORT_RUN_H

#include "lifecycle/iterate/goals.h"
#include "lifecycle/iterate/kept_project.h"
#include "lifecycle/iterate/run_detail.h"
#include "store/score.h"

typedef struct hn_report_source {
    hn_store *store;
    const hn_scope *scope;
    const hn_dataset *today; /* may be NULL */
    const char *today_scope_hash;
} hn_report_source;

typedef struct hn_report_run {
    hn_run_detail detail;
    hn_kept_project kept;
    const hn_dataset *data; /* NULL: no longer known; texts are then missing */
    hn_baselines baselines;
    hn_goals goals;
    hn_note_list notes;
    hn_run_links links;
    hn_score_list scores;  /* by grader, then position */
    const char **graders;  /* (n_graders) their names */
    size_t *grader_starts; /* (n_graders + 1) where each one's scores begin */
    size_t n_graders;
} hn_report_run;

hn_status hn_report_run_load(const hn_report_source *source, const char *name, hn_report_run *out,
                             hn_error *err) HN_MUST_CHECK;
void hn_report_run_free(hn_report_run *r);

/* A case's inputs as text, appended; nothing where the data is not known. */
hn_status hn_report_case_text(const hn_report_run *r, const char *case_id, hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* What a grader said of an answer; NaN: nothing. */
double hn_report_score(const hn_report_run *r, size_t grader, int64_t position);

/* CSV: a header, then one row an answer. `graders` (n_graders): columns behind the fixed ones, the same for all runs of one file. Unless `verbatim`, a
 * cell that a spreadsheet would take for a formula gets an apostrophe in front. */
void hn_report_csv_header(const char *const *graders, size_t n_graders, hn_buf *out);
hn_status hn_report_csv(const hn_report_run *r, const char *const *graders, size_t n_graders, bool verbatim,
                        hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* JSON Lines: one object an answer. */
hn_status hn_report_jsonl(const hn_report_run *r, hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* A Markdown summary: what was run, metrics beside baselines, goals, labels, confusions, the surest mistakes, the prompt. */
hn_status hn_report_markdown(const hn_report_run *r, hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* Several runs as one table. */
void hn_report_markdown_runs(const hn_run_lines *lines, hn_buf *out);

/* A page that stands alone: charts as SVG, no request to anywhere. `runs` (n) in detail; `lines`: those in the overview; `history` as of
 * hn_history_make, for the verdicts. */
typedef struct hn_report_page {
    const char *title;
    const hn_report_run *runs;
    size_t n;
    const hn_run_lines *lines;
    const json_t *history;
} hn_report_page;
hn_status hn_report_html(const hn_report_page *page, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
