/* Inside the export of models: what export_folder.c shares with the making of its text files and with export_gguf.c.
 *
 *     HN_TRY(hn_export_config_gguf(gguf, tokenizer, HN_DTYPE_BF16, out, &err));
 *
 * Threading: one thread. */
#ifndef HN_MODEL_EXPORT_PARTS_H
#define HN_MODEL_EXPORT_PARTS_H

#include "model/model.h"

/* "float32", "bfloat16", "float16" as Hugging Face's files call them. */
const char *hn_export_type_name(hn_dtype dtype);
/* config.json and generation_config.json into `folder`, of a GGUF file's metadata. HN_ERR_UNSUPPORTED: rotary scaling that the file tells only the
 * result of. `tokenizer` may be NULL. */
hn_status hn_export_config_gguf(const hn_gguf *gguf, const hn_tokenizer *tokenizer, hn_dtype dtype, const char *folder,
                                hn_error *err) HN_MUST_CHECK;
/* tokenizer.json and tokenizer_config.json of a GGUF file's byte-level BPE. HN_ERR_UNSUPPORTED: another kind of tokenizer, or a pre-tokenizer
 * whose rules cannot be said in tokenizer.json here. */
hn_status hn_export_tokenizer_gguf(const hn_gguf *gguf, const hn_model *model, const char *folder,
                                   hn_error *err) HN_MUST_CHECK;

/* The tokens of `text` are the same for both, or HN_ERR_INTERNAL; `where` names the file. */
hn_status hn_export_same_ids(const hn_tokenizer *a, const hn_tokenizer *b, const char *text, const char *where,
                             hn_error *err) HN_MUST_CHECK;
extern const char hn_export_sample_text[]; /* something of everything that tokenizers treat in their own way */

#endif
