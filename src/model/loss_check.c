/* Refusals of training data; see loss_check.h. */
#include "model/loss_check.h"

#include <stdio.h>

/* A pair's two sides are one row: it is named once. */
static void add_fault(hn_loss_fault *f, size_t row, int line) {
    if (f->n && f->last == row) return;
    f->last = row;
    if (f->n < HN_LOSS_ROWS_SHOWN) {
        f->rows[f->n] = row;
        f->lines[f->n] = line;
    }
    f->n++;
}

void hn_loss_check_add(hn_loss_check *c, const hn_loss_mask *mask, size_t row, int line) {
    size_t needed = mask->n_answers ? mask->answers[mask->n_answers - 1].end : 0;
    bool endless = false;
    c->n_rows += c->last_row != row;
    c->last_row = row;
    c->n_tokens += mask->ids.n;
    c->n_learned += mask->n_learned;
    c->n_answers += mask->n_answers;
    if (mask->ids.n > c->longest) c->longest = mask->ids.n;
    if (needed > c->n_needed) c->n_needed = needed;
    if (mask->n_learned == 0) add_fault(&c->unsupervised, row, line);
    if (c->max_tokens && needed > c->max_tokens && !c->is_text) add_fault(&c->cut, row, line);
    for (size_t i = 0; i < mask->n_answers; i++) endless |= !mask->answers[i].has_end;
    if (endless && !c->is_text) add_fault(&c->endless, row, line);
}

/* "row 3 (line 5)", "rows 3, 17 and 4 more (lines 5, 20, ...)". */
static const char *rows_text(const hn_loss_fault *f, char out[256]) {
    size_t shown = f->n < HN_LOSS_ROWS_SHOWN ? f->n : HN_LOSS_ROWS_SHOWN, used = 0;
    used += (size_t)snprintf(out, 256, f->n == 1 ? "row " : "rows ");
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(out + used, 256 - used, "%s%zu", i ? ", " : "", f->rows[i]);
    if (f->n > shown) used += (size_t)snprintf(out + used, 256 - used, " and %zu more", f->n - shown);
    if (!f->lines[0]) return out;
    used += (size_t)snprintf(out + used, 256 - used, f->n == 1 ? " (line " : " (lines ");
    for (size_t i = 0; i < shown; i++)
        used += (size_t)snprintf(out + used, 256 - used, "%s%d", i ? ", " : "", f->lines[i]);
    snprintf(out + used, 256 - used, f->n > shown ? ", ...)" : ")");
    return out;
}

hn_status hn_loss_check_refuse(const hn_loss_check *c, const char *name, hn_error *err) {
    char rows[256], hint[200];
    if (c->n_rows == 0)
        return hn_fail(err, HN_ERR_INPUT, name, "give at least one row", "there is nothing to train on");
    if (c->unsupervised.n)
        return hn_fail(err, HN_ERR_INPUT, name,
                       "give them an answer (an assistant's message whose weight is not 0), or leave them out",
                       "no supervised token: %s would teach nothing", rows_text(&c->unsupervised, rows));
    if (c->cut.n) {
        snprintf(hint, sizeof hint, "raise the limit to %zu tokens (%s), or shorten or leave out these rows",
                 c->n_needed, c->limit_option ? c->limit_option : "--max-tokens");
        return hn_fail(
            err, HN_ERR_LIMIT, name, hint,
            "an answer is cut off by the limit of %zu tokens in %s: the model would learn to stop in the middle",
            c->max_tokens, rows_text(&c->cut, rows));
    }
    if (!c->is_text && c->endless.n == c->n_rows)
        return hn_fail(
            err, HN_ERR_INPUT, name,
            "use a base whose chat template ends an answer with an end token, or a prompt with a stop text",
            "the end of a turn is never trained: no answer of %s ends with a token that generation stops at, "
            "so the model would never stop",
            rows_text(&c->endless, rows));
    return HN_OK;
}
