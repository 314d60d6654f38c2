/* Targets against the output contract: each case's label, and everything that would make a run meaningless, found before it starts. */
#include "project/scope.h"

#include "base/regex.h"
#include "base/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct label_entry {
    const char *name;
    int index;
    size_t n_cases;
} label_entry;

typedef struct checker {
    const hn_scope *scope;
    const hn_yaml *doc;
    hn_error *err;
    label_entry *sorted; /* the contract's labels by name */
    hn_regex *regex;
    hn_regex_scratch *scratch;
} checker;

static int compare_labels(const void *a, const void *b) {
    return strcmp(((const label_entry *)a)->name, ((const label_entry *)b)->name);
}

static hn_status check_label(const checker *k, hn_case *c) {
    const hn_contract *contract = &k->scope->contract;
    label_entry key = {.name = c->target};
    label_entry *found = bsearch(&key, k->sorted, contract->n_labels, sizeof *k->sorted, compare_labels);
    if (found) {
        c->label = found->index;
        found->n_cases++;
        return HN_OK;
    }
    char hint[384], message[300];
    const char *near = hn_closest(c->target, (const char *const *)contract->labels, contract->n_labels);
    const hn_yaml_node *output = hn_yaml_find(hn_yaml_root(k->doc), "output");
    snprintf(hint, sizeof hint, "%s%s%scorrect the row, or add the label in %.150s:%d", near ? "did you mean `" : "",
             near ? near : "", near ? "`? " : "", hn_yaml_name(k->doc), output->line);
    snprintf(message, sizeof message, "\"%.160s\" is none of the labels in `output.choice`", c->target);
    return hn_case_fail(c, hint, message, k->err);
}

static hn_status check_number(const checker *k, const hn_case *c) {
    const hn_contract *contract = &k->scope->contract;
    double value;
    char message[300];
    if (!hn_parse_double(c->target, &value)) {
        snprintf(message, sizeof message, "the target \"%.160s\" is no number", c->target);
        return hn_case_fail(c, "write it like 3 or 0.25", message, k->err);
    }
    if (value >= contract->low && value <= contract->high) return HN_OK;
    snprintf(message, sizeof message, "the target %.60s is outside of `output.number`, which goes from %g to %g",
             c->target, contract->low, contract->high);
    return hn_case_fail(c, "correct the row, or widen the range", message, k->err);
}

static hn_status check_pattern(const checker *k, const hn_case *c) {
    bool matches = false;
    char message[300];
    HN_TRY(hn_regex_matches(k->regex, k->scratch, c->target, strlen(c->target), &matches, k->err));
    if (matches) return HN_OK;
    snprintf(message, sizeof message, "the target \"%.160s\" does not match `output.regex` as a whole", c->target);
    return hn_case_fail(c, "correct the row, or the pattern", message, k->err);
}

static hn_status check_json(const checker *k, const hn_case *c) {
    json_t *value;
    hn_error inner = {0};
    char message[500];
    hn_status st = hn_json_parse(c->target, strlen(c->target), "target", HN_JSON_ANY | HN_JSON_NUL, &value, &inner);
    if (st == HN_OK) {
        st = hn_json_schema_check(k->scope->contract.validator, value, "target", &inner);
        json_decref(value);
        if (st == HN_OK) return HN_OK;
        snprintf(message, sizeof message, "the target does not fit the schema of `output.json`: %.300s: %.150s",
                 inner.where, inner.message);
        if (st == HN_ERR_INPUT) return hn_case_fail(c, "correct the row, or the schema", message, k->err);
    }
    if (st == HN_ERR_MEMORY) return hn_fail_memory(k->err, 0);
    snprintf(message, sizeof message, "the target is no JSON: %.100s: %.300s", inner.where, inner.message);
    return hn_case_fail(c, "write the right answer as JSON text", message, k->err);
}

static hn_status check_case(const checker *k, hn_case *c) {
    char message[200];
    if (!c->target) {
        snprintf(message, sizeof message, "the row has no target in column `%.120s`", k->scope->target_column);
        return hn_case_fail(c, "label the row, or take it out of the file", message, k->err);
    }
    switch (k->scope->contract.kind) {
    case HN_CONTRACT_CHOICE: return check_label(k, c);
    case HN_CONTRACT_NUMBER: return check_number(k, c);
    case HN_CONTRACT_REGEX: return check_pattern(k, c);
    case HN_CONTRACT_JSON: return check_json(k, c);
    case HN_CONTRACT_TEXT: break;
    }
    return HN_OK;
}

/* A label without a case is a typing mistake more often than a plan. */
static hn_status check_used(const checker *k, const hn_dataset *dataset) {
    const hn_contract *contract = &k->scope->contract;
    int unused = -1;
    for (size_t i = 0; i < contract->n_labels; i++)
        if (k->sorted[i].n_cases == 0 && (unused < 0 || k->sorted[i].index < unused)) unused = k->sorted[i].index;
    if (unused < 0) return HN_OK;
    const hn_yaml_node *label = hn_yaml_find(hn_yaml_find(hn_yaml_root(k->doc), "output"), "choice")->first;
    for (int i = 0; i < unused; i++) label = label->next;
    return hn_yaml_fail(label, HN_ERR_INPUT, "take it out, or add cases that have it", k->err,
                        "the label `%s` is not in the data: none of the %zu cases has it", contract->labels[unused],
                        dataset->n_cases);
}

static hn_status prepare(checker *k) {
    const hn_contract *contract = &k->scope->contract;
    if (contract->kind == HN_CONTRACT_REGEX) {
        HN_TRY(hn_regex_compile(contract->regex, strlen(contract->regex), &k->regex, k->err));
        k->scratch = hn_regex_scratch_create();
        return k->scratch ? HN_OK : hn_fail_memory(k->err, 64);
    }
    if (contract->kind != HN_CONTRACT_CHOICE) return HN_OK;
    k->sorted = hn_calloc(contract->n_labels, sizeof *k->sorted);
    if (!k->sorted) return hn_fail_memory(k->err, contract->n_labels * sizeof *k->sorted);
    for (size_t i = 0; i < contract->n_labels; i++) k->sorted[i] = (label_entry){contract->labels[i], (int)i, 0};
    qsort(k->sorted, contract->n_labels, sizeof *k->sorted, compare_labels);
    return HN_OK;
}

hn_status hn_scope_check_targets(const hn_scope *scope, const hn_yaml *doc, hn_dataset *dataset, hn_error *err) {
    checker k = {.scope = scope, .doc = doc, .err = err};
    hn_status st = prepare(&k);
    for (size_t i = 0; st == HN_OK && i < dataset->n_cases; i++) st = check_case(&k, &dataset->cases[i]);
    if (st == HN_OK && scope->contract.kind == HN_CONTRACT_CHOICE) st = check_used(&k, dataset);
    hn_free(k.sorted);
    hn_regex_free(k.regex);
    hn_regex_scratch_free(k.scratch);
    return st;
}
