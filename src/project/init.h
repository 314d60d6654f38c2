/* New projects: from a data file, with the columns' roles guessed and shown, or as a copy of the example project inside the program.
 *
 *     hn_init_result r;
 *     HN_TRY(hn_init_from_data("tickets", &(hn_init_options){.data = "tickets.csv"}, &r, &err));
 *     printf("target: %s%s\n", r.target, r.guessed_target ? " (guessed)" : "");
 *     hn_init_result_free(&r);
 *
 * Nothing is ever overwritten: HN_ERR_EXISTS names what is in the way, before anything is written. A data file outside of the project's
 * folder is copied into its data/. Ownership: a result owns its text. Threading: one thread. */
#ifndef HN_PROJECT_INIT_H
#define HN_PROJECT_INIT_H

#include "project/project.h"

typedef struct hn_example_file {
    const char *name; /* relative to the project's folder; NULL ends the list */
    const unsigned char *bytes;
    size_t n;
} hn_example_file;

extern const hn_example_file hn_example_tickets[];

typedef struct hn_init_options {
    const char *data,
        *test; /* the cases; `test` (may be NULL): those of the test split, then train and dev come from `data` */
    const char *const *inputs; /* (n_inputs) columns; none: guessed */
    size_t n_inputs;
    const char *target, *group; /* NULL: guessed */
} hn_init_options;

typedef struct hn_init_result {
    char **inputs; /* (n_inputs) */
    size_t n_inputs;
    char *target, *group, *id; /* group, id: NULL where there is none */
    bool guessed_inputs, guessed_target, guessed_group;
    hn_contract_kind kind;
    char **labels; /* CHOICE: (n_labels), the most frequent first */
    size_t n_labels;
    char **files; /* (n_files) written, relative to the folder */
    size_t n_files;
    size_t n_cases, n_split[HN_SPLIT_COUNT];
    hn_arena *arena;
} hn_init_result;

/* HN_ERR_INPUT also where no column can be taken for the target: the remedy is to name it. */
hn_status hn_init_from_data(const char *dir, const hn_init_options *options, hn_init_result *result,
                            hn_error *err) HN_MUST_CHECK;
/* `name`: "tickets". HN_ERR_NOT_FOUND for others. */
hn_status hn_init_example(const char *dir, const char *name, hn_init_result *result, hn_error *err) HN_MUST_CHECK;
void hn_init_result_free(hn_init_result *result);

#endif
