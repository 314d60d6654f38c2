/* tokenizer.json and tokenizer_config.json of a trained byte-level BPE.
 *
 * Surprise: merges are written as "left right", the form that all versions of readers take; no token of the byte
 * alphabet has a space in it. */
#include "model/tokenizer_write.h"

#include "base/utf8.h"
#include "format/json.h"
#include "model/pretokenize.h"

#include <string.h>

enum { SPECIAL_BYTES_MAX = 256 };

static const char chat_template[] =
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

/* ---- control tokens ---- */

static hn_status is_one_word(const char *text, hn_word_cut cut, bool *one, hn_error *err) {
    hn_pretokenizer p = {0};
    hn_pretokenizer_traits traits;
    hn_words words = {0};
    HN_TRY(hn_pretokenizer_named(hn_str_of(hn_word_cut_name(cut)), &p, &traits, err));
    hn_status st = hn_pretokenize(&p, text, strlen(text), true, &words, err);
    *one = words.n < 2;
    hn_words_free(&words);
    hn_pretokenizer_free(&p);
    return st;
}

hn_status hn_tokenizer_check_specials(const char *const *specials, size_t n, hn_word_cut cut, hn_error *err) {
    for (size_t i = 0; i < n; i++) {
        size_t len = strlen(specials[i]);
        bool one;
        if (len == 0 || len > SPECIAL_BYTES_MAX || !hn_utf8_valid(specials[i], len, NULL))
            return hn_fail(err, HN_ERR_USAGE, "--special", NULL,
                           "the special token \"%.80s\" must be 1 to %d bytes of UTF-8, it has %zu", specials[i],
                           SPECIAL_BYTES_MAX, len);
        for (size_t k = 0; k < i; k++)
            if (strcmp(specials[i], specials[k]) == 0)
                return hn_fail(err, HN_ERR_USAGE, "--special", "give it once",
                               "the special token \"%.80s\" stands twice", specials[i]);
        HN_TRY(is_one_word(specials[i], cut, &one, err));
        if (one)
            return hn_fail(err, HN_ERR_USAGE, "--special", "mark it, as in <|name|>",
                           "the special token \"%.80s\" is one word of ordinary text, which may become a token too",
                           specials[i]);
    }
    return HN_OK;
}

static const char *find_special(const hn_tokenizer_spec *spec, const char *text) {
    for (size_t i = 0; i < spec->n_specials; i++)
        if (strcmp(spec->specials[i], text) == 0) return spec->specials[i];
    return NULL;
}

/* ---- tokenizer.json ---- */

static void alphabet_text(const hn_bpe *bpe, size_t id, hn_buf *text) {
    hn_str bytes = hn_bpe_words_text(&bpe->tokens, id);
    for (size_t i = 0; i < bytes.len; i++) {
        char character[4];
        hn_buf_append(text, character, hn_alphabet_encode((unsigned char)bytes.data[i], character));
    }
}

static void write_added(const hn_tokenizer_spec *spec, hn_buf *out) {
    for (size_t i = 0; i < spec->n_specials; i++) {
        hn_buf_appendf(out, "%s\n    {\"id\": %zu, \"content\": ", i ? "," : "", i);
        hn_json_write_string(spec->specials[i], strlen(spec->specials[i]), false, out);
        hn_buf_append_str(out, ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, \"normalized\": false, "
                               "\"special\": true}");
    }
}

static void write_vocab(const hn_tokenizer_spec *spec, hn_buf *text, hn_buf *out) {
    for (size_t i = 0; i < spec->n_specials; i++) {
        hn_buf_append_str(out, i ? ",\n      " : "\n      ");
        hn_json_write_string(spec->specials[i], strlen(spec->specials[i]), false, out);
        hn_buf_appendf(out, ": %zu", i);
    }
    for (size_t i = 0; i < spec->bpe->tokens.n; i++) {
        hn_buf_clear(text);
        alphabet_text(spec->bpe, i, text);
        hn_buf_append_str(out, i + spec->n_specials ? ",\n      " : "\n      ");
        hn_json_write_string(hn_buf_str(text), text->len, false, out);
        hn_buf_appendf(out, ": %zu", i + spec->n_specials);
        if (text->error) out->error = text->error;
    }
}

static void write_merges(const hn_bpe *bpe, hn_buf *text, hn_buf *out) {
    for (size_t i = 0; i < bpe->n_merges; i++) {
        hn_buf_clear(text);
        alphabet_text(bpe, bpe->merges[i].left, text);
        hn_buf_append_char(text, ' ');
        alphabet_text(bpe, bpe->merges[i].right, text);
        hn_buf_append_str(out, i ? ",\n      " : "\n      ");
        hn_json_write_string(hn_buf_str(text), text->len, false, out);
        if (text->error) out->error = text->error;
    }
}

hn_status hn_tokenizer_write_json(const hn_tokenizer_spec *spec, hn_buf *out, hn_error *err) {
    static const char byte_level[] = "{\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, "
                                     "\"use_regex\": true}";
    bool digits = spec->cut == HN_CUT_SMOLLM;
    hn_buf text;
    hn_buf_init(&text, 0);
    hn_buf_append_str(out, "{\n  \"version\": \"1.0\",\n  \"truncation\": null,\n  \"padding\": null,\n"
                           "  \"added_tokens\": [");
    write_added(spec, out);
    hn_buf_appendf(out,
                   "\n  ],\n  \"normalizer\": null,\n  \"pre_tokenizer\": %s%s%s,\n  \"post_processor\": null,\n"
                   "  \"decoder\": %s,\n  \"model\": {\n    \"type\": \"BPE\",\n    \"dropout\": null,\n"
                   "    \"unk_token\": null,\n    \"continuing_subword_prefix\": null,\n"
                   "    \"end_of_word_suffix\": null,\n    \"fuse_unk\": false,\n    \"byte_fallback\": false,\n"
                   "    \"vocab\": {",
                   digits ? "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Digits\", "
                            "\"individual_digits\": true}, "
                          : "",
                   byte_level, digits ? "]}" : "", byte_level);
    write_vocab(spec, &text, out);
    hn_buf_append_str(out, "\n    },\n    \"merges\": [");
    write_merges(spec->bpe, &text, out);
    hn_buf_append_str(out, "\n    ]\n  }\n}\n");
    hn_buf_free(&text);
    return hn_buf_check(out, "tokenizer.json", err);
}

/* ---- tokenizer_config.json ---- */

static void write_role(const char *key, const char *special, hn_buf *out) {
    if (!special) return;
    hn_buf_appendf(out, "  \"%s\": ", key);
    hn_json_write_string(special, strlen(special), false, out);
    hn_buf_append_str(out, ",\n");
}

hn_status hn_tokenizer_write_config(const hn_tokenizer_spec *spec, hn_buf *out, hn_error *err) {
    const char *text_end = find_special(spec, "<|endoftext|>"), *turn_end = find_special(spec, "<|im_end|>");
    bool chat = turn_end && find_special(spec, "<|im_start|>");
    if (!text_end && spec->n_specials > 0) text_end = spec->specials[0];
    hn_buf_append_str(out, "{\n  \"tokenizer_class\": \"PreTrainedTokenizerFast\",\n");
    write_role("bos_token", text_end, out);
    write_role("eos_token", chat ? turn_end : text_end, out);
    write_role("pad_token", text_end, out);
    if (chat) write_role("chat_template", chat_template, out);
    hn_buf_append_str(out, "  \"add_bos_token\": false,\n  \"add_prefix_space\": false,\n"
                           "  \"clean_up_tokenization_spaces\": false\n}\n");
    return hn_buf_check(out, "tokenizer_config.json", err);
}
