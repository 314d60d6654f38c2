/* Any text through tokenizers of each kind: it encodes; ids are in the vocabulary; without asking there is no control
 * token; and byte-level
 * vocabularies give the text back. The first byte chooses the tokenizer and the flags. */
#include "base/alloc.h"
#include "base/file.h"
#include "model/tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {"gpt2",     "llama3",     "smollm",  "falcon", "deepseek3", "tekken",
                                    "qwen2",    "llama2",     "mistral", "gemma",  "metaspace", "unknown",
                                    "previous", "contiguous", "normal",  "spm"};
enum { N_NAMES = sizeof names / sizeof *names, N_ROUND_TRIP = 6 };

static hn_status open_spm(hn_tokenizer **t, hn_error *err) {
    hn_gguf *g;
    HN_TRY(hn_gguf_open("tests/fixtures/tokenizers/spm.gguf", &g, err));
    hn_status st = hn_tokenizer_from_gguf(g, t, err);
    hn_gguf_close(g);
    return st;
}

static hn_status open_json(const char *name, hn_tokenizer **t, hn_error *err) {
    char path[128], *text;
    size_t n;
    snprintf(path, sizeof path, "tests/fixtures/tokenizers/%s.json", name);
    HN_TRY(hn_file_read(path, 1 << 24, &text, &n, err));
    hn_status st = hn_tokenizer_from_json(text, n, path, t, err);
    hn_free(text);
    return st;
}

/* Made once; a fuzzing process runs from the project's folder. */
static const hn_tokenizer *tokenizer(int i) {
    static hn_tokenizer *made[N_NAMES];
    hn_error err = {0};
    if (made[i]) return made[i];
    hn_status st = strcmp(names[i], "spm") == 0 ? open_spm(&made[i], &err) : open_json(names[i], &made[i], &err);
    if (st != HN_OK) {
        fprintf(stderr, "%s: %s: run it in the project's folder\n", names[i], err.message);
        abort();
    }
    return made[i];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) return 0;
    int which = data[0] % N_NAMES;
    unsigned flags = data[0] >> 4 & 3;
    const hn_tokenizer *t = tokenizer(which);
    hn_tokens ids = {0};
    hn_buf back;
    hn_error err = {0};
    hn_buf_init(&back, 1 << 24);
    if (hn_tokenizer_encode(t, (const char *)data + 1, size - 1, flags, &ids, &err) != HN_OK) abort();
    if (hn_tokenizer_decode(t, ids.ids, ids.n, true, false, &back, &err) != HN_OK)
        abort(); /* an id outside the vocabulary fails here */
    if (flags == 0) {
        for (size_t i = 0; i < ids.n; i++)
            if (hn_tokenizer_kind(t, ids.ids[i]) == HN_TOKEN_CONTROL &&
                !hn_str_equal(hn_tokenizer_piece(t, ids.ids[i]), hn_str_of("<unk>")))
                abort();
        bool same = back.len == size - 1 && memcmp(hn_buf_str(&back), data + 1, size - 1) == 0;
        if (which < N_ROUND_TRIP && !same) abort();
    }
    hn_buf_free(&back);
    hn_tokens_free(&ids);
    return 0;
}
