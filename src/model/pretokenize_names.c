/* Pre-tokenizers by their name in GGUF files (tokenizer.ggml.pre); see pretokenize.h.
 * The patterns are part of the models' published tokenizers; names that mean the same pattern stand together. */
#include "model/pretokenize.h"

#include <stdio.h>
#include <string.h>

#define CONTRACTIONS "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WHITE_SPACE "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(suffix)                                                                                                  \
    "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" suffix "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" suffix
#define SYMBOLS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"

/* Letters of the alphabets with case, as DeepSeek's first tokenizer lists them. */
/* clang-format off */
#define CASED_LETTERS \
    "[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ" \
    "-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ" \
    "-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
/* clang-format on */

typedef struct family {
    const char *names[12];
    hn_scan *scan; /* else: */
    const char *patterns[6];
    hn_pretokenizer_traits traits;
} family;

static const family families[] = {
    {.names = {"gpt-2", "gpt2", "phi-2", "jina-es", "jina-de", "gigachat", "mellum", "modern-bert", "a.x-4.0",
               "exaone4"},
     .scan = hn_scan_gpt2},
    {.names = {"mpt", "olmo", "jais", "trillion", "granite-docling", "roberta-bpe", "jina-v1-en", "jina-v2-code",
               "jina-v2-es", "jina-v2-de"},
     .scan = hn_scan_gpt2},
    {.names = {"smollm", "starcoder", "refact", "command-r", "codeshell", "exaone", "minerva-7b", "mellum2"},
     .scan = hn_scan_smollm},
    {.names = {"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2",
               "jina-v5-nano"},
     .scan = hn_scan_llama3,
     .traits = {.whole_words = true, .adds_bos = true}},
    {.names = {"dbrx", "smaug-bpe", "chatglm-bpe"}, .scan = hn_scan_llama3},
    {.names = {"glm4", "glm5"}, .scan = hn_scan_llama3, .traits = {.whole_words = true}},
    {.names = {"qwen2", "deepseek-r1-qwen", "stablelm2", "hunyuan", "megrez", "kormo", "f2llmv2", "solar-open",
               "grok-2"},
     .scan = hn_scan_qwen2},
    {.names = {"qwen35"}, .scan = hn_scan_qwen35},
    {.names = {"deepseek-llm"},
     .patterns = {"[\r\n]", "\\s?" CASED_LETTERS, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$",
                  "[一-龥ࠀ-一가-퟿]+", "\\p{N}"}},
    {.names = {"deepseek-coder"},
     .patterns = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"}},
    {.names = {"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"},
     .patterns = {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
                  "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| "
                  "?[\\p{P}\\p{S}]+[\r\n]*|" WHITE_SPACE}},
    {.names = {"falcon"}, .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", GPT2, "[0-9][0-9][0-9]"}},
    {.names = {"default"}, .patterns = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {.names = {"tekken"},
     .patterns = {CASED("") "|\\p{N}|" SYMBOLS "|" WHITE_SPACE},
     .traits = {.whole_words = true, .adds_bos = true}},
    {.names = {"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"},
     .patterns = {CASED(CONTRACTIONS "?") "|\\p{N}{1,3}|" SYMBOLS "|" WHITE_SPACE}},
    {.names = {"seed-coder"},
     .patterns = {CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|" WHITE_SPACE}},
    {.names = {"bailingmoe", "bailingmoe2", "llada-moe"},
     .patterns = {"'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| "
                  "?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {.names = {"poro-chat", "bloom", "gpt3-finnish"}, .patterns = {" ?[^(\\s|.,!?…。，、।۔،)]+"}},
    {.names = {"viking"}, .patterns = {" ?[^(\\s|.,!?…。，、।۔،)]+", "\\p{N}"}},
    {.names = {"superbpe"}, .patterns = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
    {.names = {"minicpm5"},
     .patterns = {"\\p{N}{1,3}",
                  CONTRACTIONS "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}+| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|" WHITE_SPACE},
     .traits = {.whole_words = true}},
};

static hn_status build(const family *f, hn_pretokenizer *p, hn_error *err) {
    if (f->scan) return hn_pretokenizer_add(p, (hn_step){.kind = HN_STEP_SCAN, .scan = f->scan}, err);
    for (size_t i = 0; i < 6 && f->patterns[i]; i++) {
        hn_status st = hn_pretokenizer_add_regex(p, hn_str_of(f->patterns[i]), HN_SPLIT_ISOLATED, false, err);
        if (st == HN_OK) continue;
        hn_pretokenizer_free(p);
        return st;
    }
    return HN_OK;
}

static hn_status unknown(hn_str name, hn_error *err) {
    char known[384];
    size_t at = 0;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s",
                                   at ? ", " : "known, with their other names: ", families[i].names[0]);
    return hn_fail(err, HN_ERR_UNSUPPORTED, "tokenizer.ggml.pre", known, "the pre-tokenizer \"%.*s\" is not known",
                   (int)(name.len < 80 ? name.len : 80), name.len ? name.data : "");
}

hn_status hn_pretokenizer_named(hn_str name, hn_pretokenizer *p, hn_pretokenizer_traits *traits, hn_error *err) {
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        for (size_t k = 0; k < 12 && families[i].names[k]; k++) {
            if (!hn_str_equal(name, hn_str_of(families[i].names[k]))) continue;
            *traits = families[i].traits;
            return build(&families[i], p, err);
        }
    return unknown(name, err);
}

static bool has_patterns(const family *f, const hn_pretokenizer *p) {
    size_t n = 0;
    while (n < 6 && f->patterns[n]) n++;
    for (size_t i = 0; i < n && n == p->n_steps; i++) {
        const hn_step *s = &p->steps[i];
        bool same = s->kind == HN_STEP_REGEX && s->how == HN_SPLIT_ISOLATED && !s->invert &&
                    hn_str_equal((hn_str){s->text, s->text_len}, hn_str_of(f->patterns[i]));
        if (!same) return false;
    }
    return n == p->n_steps;
}

const char *hn_pretokenizer_name(const hn_pretokenizer *p, bool whole_words) {
    hn_scan *scan = hn_pretokenizer_scanner(p);
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const family *f = &families[i];
        if (f->traits.whole_words == whole_words && (f->scan ? f->scan == scan : !scan && has_patterns(f, p)))
            return f->names[0];
    }
    return NULL;
}
