/* Datasets: content-addressed tables of cases from CSV, TSV or JSONL files.
 *
 *     hn_dataset *d;
 *     HN_TRY(hn_dataset_load("tickets.csv", &(hn_columns){...}, &d, &err));
 *     for (size_t i = 0; i < d->n_cases; i++) puts(d->cases[i].target);
 *     hn_dataset_free(d);
 *
 * A case's id is its id column, else the first 12 digits of the hash of its inputs (and "-2", "-3" for repeats), so it survives
 * reordering. Splits: seeded, stratified by target, whole groups together; a case's split depends on the set of cases, seed and
 * shares, not on the rows' order. Ownership: the dataset owns all text. Threading: read-only after loading. */
#ifndef HN_PROJECT_DATASET_H
#define HN_PROJECT_DATASET_H

#include "base/alloc.h"
#include "base/buf.h"
#include "format/json.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum hn_split { HN_SPLIT_TRAIN, HN_SPLIT_DEV, HN_SPLIT_TEST, HN_SPLIT_COUNT } hn_split;

typedef struct hn_case {
    const char *id;
    json_t *inputs;     /* object: column -> string (or the JSON value of a JSONL file); or {"messages": [...]} */
    const char *target; /* NULL: not labelled */
    const char *group;  /* NULL: a group of its own */
    hn_split split;
    const char *file;   /* where it came from, for messages */
    int line;           /* its first line there, from 1 */
    int label;          /* index in the contract's labels; -1: none */
} hn_case;

typedef struct hn_columns {
    const char *const *inputs; /* NULL: every column that is not target, group or id */
    size_t n_inputs;
    const char *target, *group, *id; /* NULL: none */
} hn_columns;

typedef struct hn_dataset {
    hn_case *cases;
    size_t n_cases;
    char **columns; /* all column names in the file's order */
    size_t n_columns;
    char hash[65];  /* content id: columns and all cells in order of id, splits aside */
    hn_arena *arena;
} hn_dataset;

hn_status hn_dataset_load(const char *path, const hn_columns *columns, hn_dataset **dataset, hn_error *err) HN_MUST_CHECK;
void hn_dataset_free(hn_dataset *dataset);
hn_status hn_dataset_split(hn_dataset *dataset, double train, double dev, double test, uint64_t seed, bool stratify, hn_error *err) HN_MUST_CHECK;
/* Indices of a split's cases in a fixed order (by id hash and seed, so that the first n are a fair sample). Free with hn_free. */
hn_status hn_dataset_select(const hn_dataset *dataset, hn_split split, uint32_t **indices, size_t *n, hn_error *err) HN_MUST_CHECK;
const char *hn_split_name(hn_split split); /* "train", "dev", "test" */
bool hn_split_parse(const char *name, hn_split *split);
/* Text of all inputs of a case joined by newlines, for bag of words and nearest examples; into `out`. */
hn_status hn_case_text(const hn_case *c, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
