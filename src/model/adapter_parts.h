/* Inside the reading of adapters: what adapter.c shares with the two forms of files.
 *
 *     hn_adapter_source s = {0};
 *     HN_TRY(hn_adapter_open_gguf(path, shape, arena, &s, &err));
 *     ... s.tensors[i] ...
 *     hn_adapter_source_close(&s);
 *
 * Threading: one thread. */
#ifndef HN_MODEL_ADAPTER_PARTS_H
#define HN_MODEL_ADAPTER_PARTS_H

#include "format/gguf.h"
#include "format/safetensors.h"
#include "model/adapter.h"

/* One tensor of the file, sizes slowest first. */
typedef struct hn_adapter_view {
    const char *name; /* printable */
    int linear;       /* layer * HN_LINEARS_OF_LAYER + which; -1: of no linear part of the model */
    int side;         /* 0: A, 1: B, 2: DoRA's magnitudes */
    hn_dtype dtype;
    const char *dtype_name;
    int n_dims;
    int64_t rows, columns;
    const void *data;
} hn_adapter_view;

typedef struct hn_adapter_source {
    char file[HN_PATH_MAX]; /* that has the tensors, for errors */
    hn_safetensors *safetensors;
    hn_gguf *gguf; /* one of the two */
    hn_adapter_view *views;
    size_t n;
    bool pairs; /* rows of q and k are in GGUF's order */
    double alpha;
    bool rank_stabilised, dora;
    char *base_name; /* in the arena; NULL: not said */
} hn_adapter_source;

/* On failure nothing is left to close. */
hn_status hn_adapter_open_peft(const char *folder, const hn_shape *shape, hn_arena *arena, hn_adapter_source *s,
                               hn_error *err) HN_MUST_CHECK;
hn_status hn_adapter_open_gguf(const char *path, const hn_shape *shape, hn_arena *arena, hn_adapter_source *s,
                               hn_error *err) HN_MUST_CHECK;
void hn_adapter_source_close(hn_adapter_source *s);

/* The layer's number of a name that starts with `prefix` and goes on with digits and a point; *rest is what follows. -1: it does not, or the model has
 * no such layer. */
int hn_adapter_layer(const char *name, const char *prefix, int n_layers, const char **rest);

#endif
