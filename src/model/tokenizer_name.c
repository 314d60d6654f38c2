/* Whether a GGUF file can say a tokenizer, and under which name of its splitting; see tokenizer.h. */
#include "model/tokenizer_parts.h"

static hn_status cannot(const char *what, hn_error *err) {
    return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.json", "take the model's own GGUF file",
                   "the tokenizer cannot be written to a GGUF file: %s", what);
}

static bool takes_white_space(const hn_added_set *set) {
    for (size_t i = 0; i < set->n_added; i++)
        if (set->added[i].lstrip || set->added[i].rstrip || set->added[i].single_word) return true;
    return false;
}

hn_status hn_tokenizer_gguf_name(const hn_tokenizer *t, const char **name, hn_error *err) {
    if (t->kind != HN_MODEL_BYTE_BPE) return cannot("it is no byte-level BPE", err);
    if (t->normalizer.n_steps) return cannot("it changes the text before it is split (a normalizer)", err);
    if (t->prefix != HN_PREFIX_NEVER) return cannot("it puts a space in front of the text", err);
    if (takes_white_space(&t->raw) || takes_white_space(&t->normalized))
        return cannot("an added token takes the white space beside it", err);
    if (t->n_starts > 1 || (t->n_starts == 1 && t->starts[0] != t->bos))
        return cannot("other tokens than BOS stand at the start", err);
    *name = hn_pretokenizer_name(&t->pretokenizer, t->whole_words);
    return *name ? HN_OK : cannot("GGUF has no name for the way it splits a text", err);
}
