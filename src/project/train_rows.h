/* One row of training data in each of its formats; between train_data.c and train_rows.c.
 *
 *     HN_TRY(hn_train_rows_recognise(first, "chat.jsonl:1", &format, &err));
 *     HN_TRY(hn_train_rows_fill(format, value, "chat.jsonl:1", &row, &err));
 *
 * Ownership: the row's json values are new references, `weight` is the row's; on failure what was set stays with the row, to be freed with it.
 * Threading: no shared state. */
#ifndef HN_PROJECT_TRAIN_ROWS_H
#define HN_PROJECT_TRAIN_ROWS_H

#include "project/train_data.h"

/* The format of a first row by its fields. HN_ERR_INPUT: none, with the formats there are. */
hn_status hn_train_rows_recognise(const json_t *value, const char *where, hn_train_format *format,
                                  hn_error *err) HN_MUST_CHECK;
/* Fills a zeroed row from `value` (borrowed; the row keeps a reference). HN_ERR_INPUT naming `where` and the field. */
hn_status hn_train_rows_fill(hn_train_format format, json_t *value, const char *where, hn_train_row *row,
                             hn_error *err) HN_MUST_CHECK;

#endif
