/* The metadata of a GGUF file for a model that comes from a Hugging Face folder: its sizes, rotary scaling, tokenizer and chat template, as llama.cpp's
 * converter writes them.
 *
 *     HN_TRY(hn_gguf_metadata_check(model, &err));                // what cannot be said is refused before anything is written
 *     HN_TRY(hn_gguf_metadata_write(model, writer, &err));
 *
 * Byte-level BPE tokenizers whose splitting GGUF has a name for; others are refused by name. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_MODEL_GGUF_METADATA_H
#define HN_MODEL_GGUF_METADATA_H

#include "format/gguf_write.h"
#include "model/model.h"

/* HN_ERR_UNSUPPORTED, with what it is that GGUF cannot say. */
hn_status hn_gguf_metadata_check(const hn_model *model, hn_error *err) HN_MUST_CHECK;
hn_status hn_gguf_metadata_write(const hn_model *model, hn_gguf_writer *writer, hn_error *err) HN_MUST_CHECK;
/* Factors (rope_dims/2) that divide the rotary frequencies, where the scaling is kept as such; *needed tells. */
hn_status hn_gguf_metadata_rope_factors(const hn_model *model, float *factors, bool *needed,
                                        hn_error *err) HN_MUST_CHECK;

#endif
