/* The picture of a text as a model sees it: its tokens as coloured chunks, counts per message, the share of the context window; for a
 * terminal, as JSON, and as a page that stands alone.
 *
 *     hn_token_picture picture;
 *     HN_TRY(hn_token_picture_messages(&picture, model, messages, &options, &err));
 *     HN_TRY(hn_token_picture_print(&picture, cli->out, &err));
 *     hn_token_picture_free(&picture);
 *
 * Ownership: borrows the model (its tokenizer); owns the rest. Threading: main thread. */
#ifndef HN_CLI_TOKEN_PICTURE_H
#define HN_CLI_TOKEN_PICTURE_H

#include "cli/output.h"
#include "model/chat.h"
#include "model/model.h"

typedef struct hn_token_message {
    char role[32];
    size_t n_tokens;
} hn_token_message;

typedef struct hn_token_picture {
    const hn_tokenizer *tokenizer;
    hn_tokens ids;
    int32_t *message; /* (ids.n) the message each token belongs to; -1: the template's own; NULL for plain text */
    hn_token_message *messages;    /* (n_messages) */
    size_t n_messages, n_template; /* n_template: tokens of no message */
    int context;                   /* the model's window; 0: unknown */
} hn_token_picture;

/* Plain text; `flags` as for hn_tokenizer_encode. */
hn_status hn_token_picture_text(hn_token_picture *p, const hn_model *model, const char *text, size_t n, unsigned flags,
                                hn_error *err) HN_MUST_CHECK;
/* Messages through the model's chat template. */
hn_status hn_token_picture_messages(hn_token_picture *p, const hn_model *model, json_t *messages,
                                    const hn_chat_options *options, hn_error *err) HN_MUST_CHECK;
hn_status hn_token_picture_print(const hn_token_picture *p, hn_output *out, hn_error *err) HN_MUST_CHECK;
/* {"ids","pieces","n_tokens","context","share","messages":[{"role","n_tokens"}],"template_tokens"}; NULL when memory is used up. */
json_t *hn_token_picture_json(const hn_token_picture *p);
/* A piece for people: line ends as a sign and `line_end`, other control characters and half characters as <hex>. */
void hn_token_piece_show(hn_str piece, const char *line_end, hn_buf *out);
/* Appends the page. */
void hn_token_picture_html(const hn_token_picture *p, const char *title, hn_buf *out);
void hn_token_picture_free(hn_token_picture *p);

#endif
