/* Inside prompts: one message's compiled content, and rendering it; see prompt.h for what others use.
 *
 *     HN_TRY(hn_prompt_texts_compile(prompt, scope, dataset, &err));
 *     HN_TRY(hn_prompt_text_render(prompt, i, variables, &out, &err));
 *
 * Ownership: texts are the prompt's. Threading: as prompt.h. */
#ifndef HN_PROJECT_PROMPT_TEXT_H
#define HN_PROJECT_PROMPT_TEXT_H

#include "format/jinja.h"
#include "format/yaml.h"
#include "project/prompt.h"

typedef struct hn_prompt_text {
    const char *role; /* "system", "user", "assistant", or "insert" */
    const hn_yaml_node *node;
    hn_jinja *template; /* NULL for "insert" */
} hn_prompt_text;

/* Compiles prompt->texts (whose role and node are set) and checks that every name they use is known: an input of the cases, or
 * one of examples, labels, wordings, inputs. Where neither scope nor dataset (may be NULL) says what the inputs are, any name
 * is taken for one. Sets prompt->uses_examples. */
hn_status hn_prompt_texts_compile(hn_prompt *prompt, const hn_scope *scope, const hn_dataset *dataset,
                                  hn_error *err) HN_MUST_CHECK;
hn_status hn_prompt_text_render(const hn_prompt *prompt, size_t i, json_t *variables, hn_buf *out,
                                hn_error *err) HN_MUST_CHECK;
#endif
