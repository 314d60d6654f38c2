/* From rows of training data to loss masks; see train_mask.h. */
#include "project/train_mask.h"

#include "base/alloc.h"

#include <string.h>

static const json_t *side_of(const hn_train_row *r, hn_train_side side) {
    return side == HN_TRAIN_CHOSEN ? r->chosen : r->rejected;
}

hn_status hn_train_mask_messages(const hn_train_data *data, size_t row, hn_train_side side, json_t **messages,
                                 hn_error *err) {
    const hn_train_row *r = &data->rows[row];
    *messages = NULL;
    if (!r->messages) return HN_OK;
    *messages = json_copy(r->messages);
    bool fine = *messages != NULL;
    if (fine && data->format == HN_TRAIN_PREFERENCE)
        fine = json_array_extend(*messages, (json_t *)side_of(r, side)) == 0;
    if (fine) return HN_OK;
    json_decref(*messages);
    *messages = NULL;
    return hn_fail_memory(err, 0);
}

hn_status hn_train_mask_row(const hn_loss_masker *masker, const hn_train_data *data, size_t row, hn_train_side side,
                            hn_loss_mask *mask, hn_error *err) {
    const hn_train_row *r = &data->rows[row];
    char where[384];
    json_t *messages;
    unsigned char *weight = r->weight;
    hn_train_row_place(data, row, where);
    *mask = (hn_loss_mask){0};
    if (!r->messages) return hn_loss_mask_text(masker, r->text, r->n_text, mask, err);
    HN_TRY(hn_train_mask_messages(data, row, side, &messages, err));
    if (data->format == HN_TRAIN_PREFERENCE) { /* learned is what follows the prompt */
        size_t n_prompt = json_array_size(r->messages), n = json_array_size(messages);
        weight = hn_calloc(n, 1);
        if (weight) memset(weight + n_prompt, 1, n - n_prompt);
    }
    hn_status st = weight ? hn_loss_mask_chat(masker, messages, weight, r->tools, where, mask, err)
                          : hn_fail_memory(err, json_array_size(messages));
    if (weight != r->weight) hn_free(weight);
    json_decref(messages);
    return st;
}

hn_status hn_train_mask_check(const hn_loss_masker *masker, const hn_train_data *data, hn_loss_check *check,
                              hn_error *err) {
    int n_sides = data->format == HN_TRAIN_PREFERENCE ? 2 : 1;
    check->is_text = data->format == HN_TRAIN_TEXT || data->format == HN_TRAIN_TEXT_ROWS;
    for (size_t i = 0; i < data->n_rows; i++)
        for (int side = 0; side < n_sides; side++) {
            hn_loss_mask mask;
            HN_TRY(hn_train_mask_row(masker, data, i, (hn_train_side)side, &mask, err));
            hn_loss_check_add(check, &mask, i + 1, data->rows[i].line);
            hn_loss_mask_free(&mask);
        }
    return hn_loss_check_refuse(check, data->name, err);
}
