/* What a set of loss masks has in common that would make training on them nonsense: rows that teach nothing, answers cut off by the length
 * limit, and answers of which none ends. Each is refused with the rows and a remedy.
 *
 *     hn_loss_check check = {.max_tokens = 512};
 *     for (...) hn_loss_check_add(&check, &mask, row, line);
 *     HN_TRY(hn_loss_check_refuse(&check, "chat.jsonl", &err));           // chat.jsonl: 2 rows have no supervised token: rows 3, 17 (lines ...)
 *
 * Ownership: a plain value, nothing to free. Threading: one thread at a time. */
#ifndef HN_MODEL_LOSS_CHECK_H
#define HN_MODEL_LOSS_CHECK_H

#include "model/loss_mask.h"

enum { HN_LOSS_ROWS_SHOWN = 5 };

/* How many rows have a fault, and the first of them. */
typedef struct hn_loss_fault {
    size_t n, last;                  /* last: the newest row, from 1 */
    size_t rows[HN_LOSS_ROWS_SHOWN]; /* from 1 */
    int lines[HN_LOSS_ROWS_SHOWN];   /* 0: no line */
} hn_loss_fault;

typedef struct hn_loss_check {
    size_t max_tokens;        /* the length limit of a row; 0: none */
    bool is_text;             /* plain text: it may be cut anywhere */
    const char *limit_option; /* what raises max_tokens; NULL: --max-tokens */
    size_t n_rows, last_row;  /* rows added (a pair counts once), the newest of them */
    size_t n_tokens, n_learned, n_answers;
    size_t longest, n_needed; /* tokens of the longest row; tokens up to the last answer's end, at most */
    hn_loss_fault unsupervised, cut, endless;
} hn_loss_check;

/* `row` from 1; `line` of its file, 0 where there is none. */
void hn_loss_check_add(hn_loss_check *check, const hn_loss_mask *mask, size_t row, int line);
/* HN_ERR_INPUT: no rows, a row without a supervised token, or answers of which not one ends with a token that generation stops at;
 * HN_ERR_LIMIT: an answer is cut off. `name` stands for the data. */
hn_status hn_loss_check_refuse(const hn_loss_check *check, const char *name, hn_error *err) HN_MUST_CHECK;

#endif
