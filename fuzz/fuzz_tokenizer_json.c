/* Any bytes as a tokenizer.json: it is refused, or makes a tokenizer that encodes and decodes. */
#include "model/tokenizer.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char text[] =
        "Hello  world, it's 123\n<s> \xE4\xBD\xA0\xE5\xA5\xBD\xFF <|end|> \xE2\x96\x81 a1b2 ab ba";
    hn_tokenizer *t;
    hn_error err = {0};
    hn_tokens ids = {0};
    hn_buf back;
    char hex[65];
    if (hn_tokenizer_from_json((const char *)data, size, "fuzz", &t, &err) != HN_OK) return 0;
    hn_buf_init(&back, 1 << 20);
    for (unsigned flags = 0; flags < 4; flags++)
        if (hn_tokenizer_encode(t, text, sizeof text - 1, flags, &ids, &err) != HN_OK) break;
    for (int flags = 0; flags < 4; flags++)
        if (hn_tokenizer_decode(t, ids.ids, ids.n, flags & 1, flags & 2, &back, &err) != HN_OK) break;
    (void)!hn_tokenizer_hash(t, hex, &err);
    hn_buf_free(&back);
    hn_tokens_free(&ids);
    hn_tokenizer_free(t);
    return 0;
}
