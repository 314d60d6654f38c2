/* Datasets: content-addressed tables of cases from CSV, TSV or JSONL files.
 *
 *     hn_dataset *d;
 *     HN_TRY(hn_dataset_load("tickets.csv", &(hn_columns){...}, &d, &err));
 *     HN_TRY(hn_dataset_split(d, 0.5, 0.25, 0.25, 7, true, &err));
 *     for (size_t i = 0; i < d->n_cases; i++) puts(d->cases[i].target);
 *     hn_dataset_free(d);
 *
 * A case's id is its id column, else the first 12 digits of the hash of its inputs (and "-2", "-3" for repeats), so it survives
 * reordering. Splits: seeded, stratified by target, whole groups together; cases without a group whose inputs are the same go together,
 * too, so that no split can hold what another was trained on. A case's split depends on the set of cases, seed and shares, not on the rows'
 * order. Ownership: the dataset owns all text. Threading: read-only after loading. */
#ifndef HN_PROJECT_DATASET_H
#define HN_PROJECT_DATASET_H

#include "base/alloc.h"
#include "base/buf.h"
#include "format/json.h"
#include "project/data_table.h"

#include <stdbool.h>
#include <stdint.h>

typedef enum hn_split { HN_SPLIT_TRAIN, HN_SPLIT_DEV, HN_SPLIT_TEST, HN_SPLIT_COUNT } hn_split;

typedef struct hn_case {
    const char *id;
    json_t *inputs;     /* object: column -> string (or the JSON value of a JSONL file); or {"messages": [...]} */
    const char *target; /* NULL: not labelled */
    const char *group;  /* NULL: a group of its own */
    hn_split split;
    const char *file;    /* where it came from, for messages */
    int line;            /* its first line there, from 1 */
    int label;           /* index in the contract's labels; -1: none */
    bool split_fixed;    /* the file it came from is one split: hn_dataset_split leaves it there */
    uint64_t input_hash; /* equal for equal inputs */
} hn_case;

typedef struct hn_columns {
    const char *const *inputs; /* NULL: every column that is not target, group or id */
    size_t n_inputs;
    const char *target, *group, *id; /* NULL: none */
} hn_columns;

typedef struct hn_dataset {
    hn_case *cases; /* (n_cases) in the files' order */
    size_t n_cases;
    char **columns; /* all column names in the (first) file's order */
    size_t n_columns;
    char hash[65];       /* content id: columns and all cells in order of id, splits aside */
    uint64_t split_seed; /* of the last hn_dataset_split */
    hn_arena *arena;
} hn_dataset;

/* Where cases come from: a table, and the split that its rows belong to (HN_SPLIT_COUNT: hn_dataset_split decides). */
typedef struct hn_dataset_source {
    const hn_data_table *table;
    hn_split split;
} hn_dataset_source;

/* HN_ERR_INPUT with file:line for unknown columns (with the nearest name), missing or repeated ids, a row without an input, wrong messages. */
hn_status hn_dataset_load(const char *path, const hn_columns *columns, hn_dataset **dataset,
                          hn_error *err) HN_MUST_CHECK;
/* The same from tables that were read before; they may be freed afterwards. */
hn_status hn_dataset_build(const hn_dataset_source *sources, size_t n_sources, const hn_columns *columns,
                           hn_dataset **dataset, hn_error *err) HN_MUST_CHECK;
void hn_dataset_free(hn_dataset *dataset);
/* Shares add up to 1; one of 0 leaves that split empty (of cases that are not fixed). */
hn_status hn_dataset_split(hn_dataset *dataset, double train, double dev, double test, uint64_t seed, bool stratify,
                           hn_error *err) HN_MUST_CHECK;
/* Indices of a split's cases in a fixed order (by id hash and seed, so that the first n are a fair sample). Free with hn_free. */
hn_status hn_dataset_select(const hn_dataset *dataset, hn_split split, uint32_t **indices, size_t *n,
                            hn_error *err) HN_MUST_CHECK;
/* The case with this id; NULL: there is none. */
const hn_case *hn_dataset_find(const hn_dataset *dataset, const char *id);
const char *hn_split_name(hn_split split); /* "train", "dev", "test" */
bool hn_split_parse(const char *name, hn_split *split);
/* Text of all inputs of a case joined by newlines, for bag of words and nearest examples; appended to `out`. */
hn_status hn_case_text(const hn_case *c, hn_buf *out, hn_error *err) HN_MUST_CHECK;
/* Sets the input_hash of a case that came from elsewhere. */
hn_status hn_case_hash_inputs(hn_case *c, hn_error *err) HN_MUST_CHECK;
/* HN_ERR_INPUT at the file and line that the case came from. */
hn_status hn_case_fail(const hn_case *c, const char *hint, const char *message, hn_error *err) HN_MUST_CHECK;

#endif
