/* Any bytes as a GGUF file: it opens or is refused, and everything that an open one hands out can be read. */
#include "base/alloc.h"
#include "format/gguf.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned sum; /* keeps the reads alive */

static void touch(const void *bytes, size_t n) {
    for (size_t i = 0; i < n; i++) sum += ((const unsigned char *)bytes)[i];
}

static void read_all(const hn_gguf *g) {
    for (size_t i = 0; i < hn_gguf_value_count(g); i++) {
        const hn_gguf_value *v = hn_gguf_value_at(g, i);
        touch(v->key.data, v->key.len);
        for (uint64_t k = 0; v->strings && k < v->n_items; k++) touch(v->strings[k].data, v->strings[k].len);
        for (uint64_t k = 0; k <= v->n_items; k++) {
            int64_t whole;
            double number;
            sum += hn_gguf_item_i64(v, k, &whole) + hn_gguf_item_f64(v, k, &number);
        }
    }
    for (size_t i = 0; i < hn_gguf_tensor_count(g); i++) {
        const hn_gguf_tensor *t = hn_gguf_tensor_at(g, i);
        touch(t->name.data, t->name.len);
        touch(t->data, t->size_bytes);
    }
    sum += hn_gguf_u32(g, "general.alignment", 0) + (unsigned)hn_gguf_bool(g, "b", false);
    sum += (unsigned)hn_gguf_str(g, "general.name").len + (hn_gguf_tensor_find(g, "a") != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    hn_gguf *g;
    hn_error err = {0};
    if (hn_gguf_open_memory(data, size, "fuzz", &g, &err) != HN_OK) return 0;
    read_all(g);
    hn_gguf_close(g);
    return 0;
}
