/* Gates: what a run must reach before a change goes on, as one expression.
 *
 *     hn_gate *gate; hn_gate_result result;
 *     HN_TRY(hn_gate_parse("accuracy >= 0.9 and not worse than baseline", &gate, &err));
 *     HN_TRY(hn_gate_check(gate, &facts, &result, &err));
 *     for (size_t i = 0; i < result.n; i++) puts(result.clauses[i].outcome);
 *     if (!result.passed) ...
 *     hn_gate_result_free(&result); hn_gate_free(gate);
 *
 *     gate    = all { "or" all }
 *     all     = clause { "and" clause }
 *     clause  = "(" gate ")" | number compared | verdict
 *     compared: METRIC | "lower(" METRIC ")" | "upper(" METRIC ")", then >= > <= <, then a number, with % for hundredths
 *     verdict = "better than" REF | "not worse than" REF | "equivalent to" REF
 *
 * METRIC: accuracy, macro_f1, micro_f1, weighted_f1, balanced_accuracy, mcc, kappa, log_loss, label_perplexity, invalid, cut, failed,
 * abstained, guarded (shares of the cases), support (mean support of the answers by their context), unsupported (share of answers below
 * the guard's threshold), latency_ms (95 % of answers), latency_median_ms, memory_mb, cost_per_1000, tokens_per_case, n, or any
 * number that the run's summary or its metrics hold. A metric is compared as it was measured; lower() and upper() take the ends of
 * its 95 % interval. REF: baseline, majority, bag_of_words, a run or a tag. "not worse" is shown where the difference's interval lies above
 * minus smallest_difference, so too few cases fail it: absence of evidence is not evidence. All clauses are worked out, so that
 * all that is wrong is seen at once.
 * Ownership: free both. Threading: one thread. */
#ifndef HN_LIFECYCLE_GATE_H
#define HN_LIFECYCLE_GATE_H

#include "lifecycle/eval/reference.h"
#include "lifecycle/eval/run_report.h"
#include "project/project.h"

typedef struct hn_gate hn_gate;

typedef struct hn_gate_facts {
    const hn_run *run;
    const hn_prediction_list *predictions; /* (n) in the order of reference.cases */
    const hn_report *report;
    hn_reference_source reference; /* scope, store, dataset, baselines, cases */
} hn_gate_facts;

typedef struct hn_gate_clause {
    const char *text; /* as it was written; belongs to the gate */
    bool holds;
    char outcome[256]; /* "accuracy is 53.3 %, asked for is at least 90 %" */
} hn_gate_clause;

typedef struct hn_gate_result {
    bool passed;
    hn_gate_clause *clauses; /* (n) in the order of the text */
    size_t n;
} hn_gate_result;

/* HN_ERR_USAGE with the column of what is not understood. */
hn_status hn_gate_parse(const char *text, hn_gate **gate, hn_error *err) HN_MUST_CHECK;
void hn_gate_free(hn_gate *gate);
const char *hn_gate_text(const hn_gate *gate);
/* The names that the gate compares with (REF), one after the other; NULL past the last. */
const char *hn_gate_reference(const hn_gate *gate, size_t i);
/* HN_ERR_USAGE: a metric that there is not (`hint` lists them); HN_ERR_NOT_FOUND, HN_ERR_INPUT: a reference that cannot be compared with. */
hn_status hn_gate_check(const hn_gate *gate, const hn_gate_facts *facts, hn_gate_result *result,
                        hn_error *err) HN_MUST_CHECK;
void hn_gate_result_free(hn_gate_result *result);
/* {"passed","clauses":[{"text","holds","outcome"}]} */
hn_status hn_gate_result_json(const hn_gate_result *result, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
