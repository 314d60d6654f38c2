/* excluded.csv beside hone.yaml: cases that the project leaves out, listed by id with the reason, so that the data files stay as they are.
 *
 *     size_t n;
 *     HN_TRY(hn_excluded_apply("path/to/project", dataset, &n, &err));       // after the splits are made
 *
 * The first row names the columns; `id` must be one of them, the others are for people. Cases are taken out after the splits are dealt, so
 * that no other case changes its split; the dataset's content id then tells the reduced data from the whole. An id that no case has is an
 * error: it would seem to be left out. Deleting the file brings all cases back.
 * Ownership: the dataset's. Threading: one thread. */
#ifndef HN_PROJECT_EXCLUDED_H
#define HN_PROJECT_EXCLUDED_H

#include "project/dataset.h"

#define HN_EXCLUDED_FILE "excluded.csv"

/* *n cases were taken out; 0 where there is no file. */
hn_status hn_excluded_apply(const char *root, hn_dataset *dataset, size_t *n, hn_error *err) HN_MUST_CHECK;
/* Takes out the cases marked with 1 (n_cases). HN_ERR_INPUT where dev would be empty. */
hn_status hn_dataset_leave_out(hn_dataset *dataset, const unsigned char *left_out, hn_error *err) HN_MUST_CHECK;

#endif
