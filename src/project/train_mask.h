/* Rows of training data as token ids with their loss mask, and the check of a whole file.
 *
 *     hn_loss_check check = {.max_tokens = 512};
 *     HN_TRY(hn_train_mask_check(masker, data, &check, &err));             // refuses nonsense, with row numbers
 *     for (size_t i = 0; i < data->n_rows; i++) {
 *         HN_TRY(hn_train_mask_row(masker, data, i, HN_TRAIN_CHOSEN, &mask, &err));
 *         ...; hn_loss_mask_free(&mask);
 *     }
 *
 * Ownership: a mask is the caller's. Threading: as model/loss_mask.h. */
#ifndef HN_PROJECT_TRAIN_MASK_H
#define HN_PROJECT_TRAIN_MASK_H

#include "model/loss_check.h"
#include "project/train_data.h"

/* Of a preference pair: which answer stands behind the prompt. All other formats have one side. */
typedef enum hn_train_side { HN_TRAIN_CHOSEN, HN_TRAIN_REJECTED } hn_train_side;

/* Errors of hn_loss_mask_chat with the row's place in the file. */
hn_status hn_train_mask_row(const hn_loss_masker *masker, const hn_train_data *data, size_t row, hn_train_side side,
                            hn_loss_mask *mask, hn_error *err) HN_MUST_CHECK;
/* The messages that the mask's answers name, as a new reference (NULL for text). HN_ERR_MEMORY. */
hn_status hn_train_mask_messages(const hn_train_data *data, size_t row, hn_train_side side, json_t **messages,
                                 hn_error *err) HN_MUST_CHECK;
/* Adds all rows (of pairs both sides) to `check`, whose max_tokens the caller set, and refuses what training must not see. */
hn_status hn_train_mask_check(const hn_loss_masker *masker, const hn_train_data *data, hn_loss_check *check,
                              hn_error *err) HN_MUST_CHECK;

#endif
