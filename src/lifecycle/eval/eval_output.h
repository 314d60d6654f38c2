/* Results of an evaluation as files for other programs and people: by the file's ending
 *
 *     .json   everything that `hone eval --json` prints
 *     .jsonl  one answer a line       .csv   one answer a row, with a header
 *     .md     a comment for a pull request: table, verdicts, gate
 *     .xml    JUnit: what continuous integration shows
 *
 *     hn_eval_format format;
 *     HN_TRY(hn_eval_output_format("out/results.xml", &format, &err));      // before the work begins
 *     HN_TRY(hn_eval_output_write("out/results.xml", &facts, &err));        // a whole file or none
 *
 * JUnit: a suite for each run with a test for each case, and a suite for the gate with a test for each clause. Without a gate a wrong answer is a
 * failure. With one, the gate says how many may be wrong: then only its clauses can fail, and a wrong answer is a skipped test that says so.
 * Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_LIFECYCLE_EVAL_OUTPUT_H
#define HN_LIFECYCLE_EVAL_OUTPUT_H

#include "lifecycle/eval/eval_output_grades.h"
#include "lifecycle/eval/gate.h"
#include "lifecycle/eval/matrix_report.h"

typedef enum hn_eval_format {
    HN_EVAL_JSON,
    HN_EVAL_JSONL,
    HN_EVAL_CSV,
    HN_EVAL_MARKDOWN,
    HN_EVAL_JUNIT
} hn_eval_format;

typedef struct hn_eval_output {
    const hn_eval_matrix *matrix;
    const hn_eval_matrix_report *report;
    const hn_baselines *baselines;
    const hn_gate *gate;            /* NULL: none */
    const hn_gate_result *gates;    /* (n_cells) its outcome for each */
    const json_t *json;             /* what --json prints */
    const hn_output_grades *grades; /* NULL: none */
} hn_eval_output;

/* HN_ERR_USAGE: another ending. */
hn_status hn_eval_output_format(const char *path, hn_eval_format *format, hn_error *err) HN_MUST_CHECK;
/* Writes atomically; folders must be there. */
hn_status hn_eval_output_write(const char *path, const hn_eval_output *facts, hn_error *err) HN_MUST_CHECK;

/* The texts themselves, appended to `out`: */
hn_status hn_eval_output_jsonl(const hn_eval_output *facts, hn_buf *out, hn_error *err) HN_MUST_CHECK;
hn_status hn_eval_output_csv(const hn_eval_output *facts, hn_buf *out, hn_error *err) HN_MUST_CHECK;
hn_status hn_eval_output_markdown(const hn_eval_output *facts, hn_buf *out, hn_error *err) HN_MUST_CHECK;
hn_status hn_eval_output_junit(const hn_eval_output *facts, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
