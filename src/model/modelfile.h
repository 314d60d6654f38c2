/* Ollama's Modelfile of a model: FROM, TEMPLATE, SYSTEM and PARAMETER stop.
 *
 *     hn_buf text;
 *     hn_buf_init(&text, 1 << 20);
 *     HN_TRY(hn_modelfile_make(model, ".", &text, &err));     // FROM . : the folder that the Modelfile lies in
 *
 * Ollama's templates are Go's, the model's is Jinja: what stands before and after each role's content is found by rendering conversations, put
 * together as a Go template, and compared with the Jinja template on a conversation more. A template that is not of this form (tools, dates, turns
 * that change what is before them) is refused, never approximated. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_MODEL_MODELFILE_H
#define HN_MODEL_MODELFILE_H

#include "model/model.h"

/* Appends the text to `out`. A model without a chat template gets none. HN_ERR_UNSUPPORTED: the template cannot be said as a Go template here. */
hn_status hn_modelfile_make(const hn_model *model, const char *from, hn_buf *out, hn_error *err) HN_MUST_CHECK;

#endif
