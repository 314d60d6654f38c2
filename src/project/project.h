/* A project: a folder with hone.yaml (the scope), its data with splits, and its prompts.
 *
 *     hn_project *p;
 *     HN_TRY(hn_project_open(".", &p, &err));              // looks upward for hone.yaml
 *     const hn_scope *scope = hn_project_scope(p);
 *     const hn_dataset *data; HN_TRY(hn_project_dataset(p, &data, &err));   // loaded once, splits assigned
 *     hn_project_close(p);
 *
 * Ownership: the project owns scope and dataset. Threading: one thread. */
#ifndef HN_PROJECT_PROJECT_H
#define HN_PROJECT_PROJECT_H

#include "format/json_schema.h"
#include "project/dataset.h"
#include "project/grader_config.h"
#include "project/guard_rules.h"
#include "project/models.h"
#include "project/tune_config.h"

typedef enum hn_contract_kind {
    HN_CONTRACT_CHOICE,
    HN_CONTRACT_TEXT,
    HN_CONTRACT_NUMBER,
    HN_CONTRACT_REGEX,
    HN_CONTRACT_JSON
} hn_contract_kind;

/* What an answer must be. The scope owns it. */
typedef struct hn_contract {
    hn_contract_kind kind;
    char **labels; /* CHOICE: (n_labels), in hone.yaml's order */
    size_t n_labels;
    char *regex;               /* REGEX: the whole answer must match */
    double low, high;          /* NUMBER: allowed range; -inf, inf where open */
    json_t *schema;            /* JSON: what the answer's value must fit; `true`: any value */
    hn_json_schema *validator; /* the same, compiled */
} hn_contract;

/* When an answer is left to a person; it needs probabilities of labels. */
typedef struct hn_abstention {
    double target_error; /* at most this share of the given answers may be wrong; NaN: every answer is given */
    double confidence;   /* with which that is promised, over the choice of the dev cases; 0.95 where not given */
    double set_share;    /* the share of cases whose set of labels holds the right one; NaN: no sets */
} hn_abstention;

typedef struct hn_scope {
    char *goal; /* "" where not given */
    /* data: one file with splits made here, or a file for each split */
    char *file, *train_file, *dev_file, *test_file; /* absolute paths, or NULL; `test_file` may stand beside `file` */
    char **input_columns;                           /* (n_inputs); NULL: every column that is not target, group or id */
    size_t n_inputs;
    char *target_column, *group_column, *id_column; /* group, id may be NULL */
    double split_train, split_dev, split_test;
    uint64_t split_seed;
    bool stratify;
    hn_contract contract;
    hn_grader_config *graders; /* (n_graders) in hone.yaml's order */
    size_t n_graders;
    char *metric;               /* a metric of every run (hn_scope_metric_is_run) or a grader's name */
    double target_value;        /* NaN: not given */
    double smallest_difference; /* 0.02 where not given */
    double limit_latency_ms, limit_memory_mb, limit_cost_per_1000; /* NaN: not given */
    hn_abstention abstain;
    hn_guard_rules guard;
    char *context_column;    /* an input column: what answers must rest on; NULL: none */
    char *model;             /* default model name or path, or NULL */
    char *baseline;          /* "majority", or a run such as "r7" */
    hn_remote_model *models; /* (n_models) elsewhere, by name */
    size_t n_models;
    hn_tune_config tune; /* settings of `hone tune` */
    double budget;       /* US dollars that a command may spend; NaN: not given */
    char *config_path;   /* hone.yaml's path, for messages */
} hn_scope;

typedef struct hn_project hn_project;

/* `dir` or the nearest folder above it that has hone.yaml; HN_ERR_NOT_FOUND says how to make one. */
hn_status hn_project_open(const char *dir, hn_project **project, hn_error *err) HN_MUST_CHECK;
void hn_project_close(hn_project *project);
const char *hn_project_root(const hn_project *project);
const char *hn_project_store_dir(const hn_project *project); /* ROOT/.hone */
const hn_scope *hn_project_scope(const hn_project *project);
const char *hn_project_scope_hash(
    const hn_project
        *project); /* content id of what decides cases and right answers: columns' roles, split, contract, metric */
/* Loads, validates and splits the data on first use: unknown columns, labels not in `output:`, labels that no case has, and empty targets are
 * errors with file:line. */
hn_status hn_project_dataset(hn_project *project, const hn_dataset **dataset, hn_error *err) HN_MUST_CHECK;
/* Whether it is computed from a run's answers alone: accuracy, and of a choice macro_f1, micro_f1, weighted_f1, mcc, kappa. */
bool hn_scope_metric_is_run(const char *metric);
/* How many cases excluded.csv leaves out of the loaded data. */
size_t hn_project_n_excluded(const hn_project *project);
/* Before the data are loaded: excluded.csv is not looked at. For what makes that file. */
void hn_project_ignore_excluded(hn_project *project);

#endif
