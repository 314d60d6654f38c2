/* GGUF as a source of tensors; see weights.h. GGUF writes sizes fastest first: they are turned round here. */
#include "model/weights.h"

static bool find(const void *file, const char *name, hn_tensor_view *view) {
    const hn_gguf_tensor *t = hn_gguf_tensor_find(file, name);
    if (!t) return false;
    hn_dtype_info info = hn_dtype_of(t->dtype);
    *view = (hn_tensor_view){.dtype = t->dtype,
                             .dtype_name = info.name ? info.name : "unknown",
                             .n_dims = t->n_dims,
                             .data = t->data,
                             .size_bytes = t->size_bytes};
    for (int i = 0; i < t->n_dims; i++) view->dims[i] = t->dims[t->n_dims - 1 - i];
    return true;
}

static hn_str name_at(const void *file, size_t i) {
    if (i >= hn_gguf_tensor_count(file)) return (hn_str){0};
    return hn_gguf_tensor_at(file, i)->name;
}

hn_tensor_source hn_tensor_source_gguf(const hn_gguf *gguf) {
    return (hn_tensor_source){.file = gguf, .gguf = true, .find = find, .name_at = name_at};
}
