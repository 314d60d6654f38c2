/* Training on plain text: documents as rows of tokens, and the held-out ones measured in bits per byte.
 *
 *     if (hn_tune_is_text(t)) HN_TRY(hn_tune_text_rows(t, &err));              // t->examples, t->held
 *     HN_TRY(hn_tune_text_score(t, &epoch, &err));                             // epoch.bits_per_byte, t->scores
 *
 * A document is learned from its first token to the token that ends a text, each token from those before it in the same document: in front of the first
 * stands what begins a text, or the end token. A document that is longer than a row goes on in the next row, which starts with the last token of the row
 * before. Rows are packed into steps side by side; none sees another. Bits per byte: what the model would need to write a text down, its end included, over
 * the text's bytes; so models with different tokenizers compare. Ownership: the training's. Threading: one thread, which runs the pool. */
#ifndef HN_LIFECYCLE_TUNE_TEXT_H
#define HN_LIFECYCLE_TUNE_TEXT_H

#include "lifecycle/tune/tune_training.h"

enum { HN_TUNE_TEXT_ROW = 512 }; /* tokens of a row at most, unless --max-length says otherwise */

bool hn_tune_is_text(const hn_training *t);
/* Of t->train and t->dev, rows of t->setup->data. HN_ERR_UNSUPPORTED: the vocabulary has no token that ends a text. */
hn_status hn_tune_text_rows(hn_training *t, hn_error *err) HN_MUST_CHECK;
/* t->scores (n_dev): minus each held-out document's nats; e->bits_per_byte and e->loss with the bootstrap's intervals over documents. */
hn_status hn_tune_text_score(hn_training *t, hn_tune_epoch *e, hn_error *err) HN_MUST_CHECK;

#endif
