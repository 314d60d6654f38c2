/* The loss mask: which tokens of a conversation a model learns to write. 1 on an assistant's answer and on the token that ends its turn, 0 on all
 * that is only read.
 *
 *     hn_loss_masker *m; hn_loss_mask mask = {0};
 *     HN_TRY(hn_loss_masker_create(tokenizer, hn_model_chat_template(model), hn_model_path(model), &m, &err));
 *     HN_TRY(hn_loss_mask_chat(m, messages, weight, tools, "chat.jsonl:17", &mask, &err));
 *     ... mask.ids.ids[t] is learned from the tokens before it where mask.learned[t] ...
 *     hn_loss_mask_free(&mask); hn_loss_masker_free(m);
 *
 * The tokens before an answer are exactly those that serving gives the model when it asks for that answer: the template is rendered once with
 * the messages before it and the start of the assistant's turn, once with the answer, and the first must be the beginning of the second, token
 * by token, and that the beginning of the whole. A template that writes earlier turns in another way later on is an error, not another text.
 * Ownership: the masker borrows the tokenizer; a mask owns its arrays. Threading: a masker is read-only, masks belong to one thread. */
#ifndef HN_MODEL_LOSS_MASK_H
#define HN_MODEL_LOSS_MASK_H

#include "model/chat.h"

typedef struct hn_loss_masker hn_loss_masker;

/* Tokens [start, end) that are learned: one answer with its end. */
typedef struct hn_loss_answer {
    size_t start, end;
    int message;  /* which of the messages it is; -1: it stands behind them, or there are none */
    bool has_end; /* the last token is one that generation stops at, or the raw form's stop text */
} hn_loss_answer;

typedef struct hn_loss_mask {
    hn_tokens ids;
    unsigned char *learned;  /* (ids.n) 1: counts in the loss */
    hn_loss_answer *answers; /* (n_answers) in order */
    size_t n_answers, n_learned;
} hn_loss_mask;

/* `template_text` NULL: no chat template, so that hn_loss_mask_chat and _answer fail with the remedy; `name` stands for it in errors. */
hn_status hn_loss_masker_create(const hn_tokenizer *tokenizer, const char *template_text, const char *name,
                                hn_loss_masker **masker, hn_error *err) HN_MUST_CHECK;
void hn_loss_masker_free(hn_loss_masker *masker);
const hn_tokenizer *hn_loss_masker_tokenizer(const hn_loss_masker *masker);

/* A conversation. `weight` (messages): 0 leaves an assistant's message unlearned; NULL: all are learned. `tools` may be NULL; `where` stands for
 * the row. A mask without any learned token is fine here (loss_check.h refuses it). HN_ERR_TEMPLATE: the template changes earlier text, or does
 * not begin an answer as serving does; HN_ERR_INPUT: an answer's beginning merges with the prompt's end. */
hn_status hn_loss_mask_chat(const hn_loss_masker *masker, json_t *messages, const unsigned char *weight, json_t *tools,
                            const char *where, hn_loss_mask *mask, hn_error *err) HN_MUST_CHECK;
/* An answer as label likelihood scores it: messages, the start of the assistant's turn, the answer as it is, the end of the turn. */
hn_status hn_loss_mask_answer(const hn_loss_masker *masker, json_t *messages, json_t *tools, const char *answer,
                              const char *where, hn_loss_mask *mask, hn_error *err) HN_MUST_CHECK;
/* The raw form: a prompt's text, the answer, and the text that ends it ("": none). */
hn_status hn_loss_mask_raw(const hn_loss_masker *masker, const char *prompt, const char *answer, const char *stop,
                           const char *where, hn_loss_mask *mask, hn_error *err) HN_MUST_CHECK;
/* Plain text: all its tokens but the first, and the end-of-sequence token behind it where the vocabulary has one. */
hn_status hn_loss_mask_text(const hn_loss_masker *masker, const char *text, size_t n, hn_loss_mask *mask,
                            hn_error *err) HN_MUST_CHECK;
/* Leaves it empty, to be filled again. */
void hn_loss_mask_free(hn_loss_mask *mask);

#endif
