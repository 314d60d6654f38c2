/* A folder's safetensors files as one source of tensors; see weights.h. */
#include "model/weights.h"

#include "base/file.h"

#include <jansson.h>
#include <string.h>

enum { INDEX_MAX_BYTES = 64 << 20, FILES_MAX = 4096 };

struct hn_tensor_folder {
    hn_safetensors **files;
    char **paths;
    size_t n_files, capacity_files, capacity_paths;
};

static hn_status add_file(hn_tensor_folder *f, const char *folder, const char *name, hn_error *err) {
    char path[HN_PATH_MAX];
    if (f->n_files >= FILES_MAX)
        return hn_fail(err, HN_ERR_LIMIT, folder, NULL, "the model has more than %d files", FILES_MAX);
    HN_TRY(hn_path_join(path, folder, name, err));
    if (!hn_grow((void **)&f->files, &f->capacity_files, f->n_files + 1, sizeof *f->files) ||
        !hn_grow((void **)&f->paths, &f->capacity_paths, f->n_files + 1, sizeof *f->paths))
        return hn_fail_memory(err, (f->n_files + 1) * sizeof *f->paths);
    char *copy = hn_strdup(path);
    if (!copy) return hn_fail_memory(err, strlen(path) + 1);
    hn_status st = hn_safetensors_open(path, &f->files[f->n_files], err);
    if (st != HN_OK)
        hn_free(copy);
    else
        f->paths[f->n_files++] = copy;
    return st;
}

static bool has_file(const hn_tensor_folder *f, const char *name) {
    for (size_t i = 0; i < f->n_files; i++)
        if (strcmp(hn_path_base(f->paths[i]), name) == 0) return true;
    return false;
}

static hn_status add_parts(hn_tensor_folder *f, const char *folder, const json_t *index, hn_error *err) {
    const char *tensor;
    json_t *part;
    json_t *map = json_object_get(index, "weight_map");
    if (!json_is_object(map)) return hn_fail(err, HN_ERR_INPUT, "weight_map", NULL, "the index has no such object");
    json_object_foreach(map, tensor, part) {
        const char *name = json_string_value(part);
        if (!name || strchr(name, '/') || strcmp(name, "..") == 0 || !*name)
            return hn_fail(err, HN_ERR_INPUT, tensor, NULL,
                           "the index does not name a file in the model's folder for the tensor");
        if (!has_file(f, name)) HN_TRY(add_file(f, folder, name, err));
    }
    return HN_OK;
}

static hn_status read_index(hn_tensor_folder *f, const char *folder, const char *path, hn_error *err) {
    char *text;
    size_t n;
    json_error_t bad;
    HN_TRY(hn_file_read(path, INDEX_MAX_BYTES, &text, &n, err));
    json_t *index = json_loadb(text, n, JSON_REJECT_DUPLICATES, &bad);
    hn_free(text);
    if (!index) return hn_fail(err, HN_ERR_INPUT, path, NULL, "line %d, column %d: %s", bad.line, bad.column, bad.text);
    hn_status st = add_parts(f, folder, index, err);
    json_decref(index);
    return st;
}

static hn_status open_files(hn_tensor_folder *f, const char *folder, hn_error *err) {
    char single[HN_PATH_MAX], index[HN_PATH_MAX];
    HN_TRY(hn_path_join(single, folder, "model.safetensors", err));
    HN_TRY(hn_path_join(index, folder, "model.safetensors.index.json", err));
    if (hn_file_exists(single)) return add_file(f, folder, "model.safetensors", err);
    if (hn_file_exists(index)) return read_index(f, folder, index, err);
    return hn_fail(err, HN_ERR_NOT_FOUND, folder,
                   "put model.safetensors (or its parts with model.safetensors.index.json) there",
                   "the folder has no weights");
}

hn_status hn_tensor_folder_open(const char *folder, hn_tensor_folder **out, hn_error *err) {
    *out = NULL;
    hn_tensor_folder *f = hn_calloc(1, sizeof *f);
    if (!f) return hn_fail_memory(err, sizeof *f);
    hn_status st = open_files(f, folder, err);
    if (st != HN_OK)
        hn_tensor_folder_close(f);
    else
        *out = f;
    return st;
}

void hn_tensor_folder_close(hn_tensor_folder *f) {
    if (!f) return;
    for (size_t i = 0; i < f->n_files; i++) {
        hn_safetensors_close(f->files[i]);
        hn_free(f->paths[i]);
    }
    hn_free(f->files);
    hn_free(f->paths);
    hn_free(f);
}

size_t hn_tensor_folder_count(const hn_tensor_folder *f) { return f->n_files; }
const char *hn_tensor_folder_path(const hn_tensor_folder *f, size_t i) { return i < f->n_files ? f->paths[i] : NULL; }

static bool find(const void *file, const char *name, hn_tensor_view *view) {
    const hn_tensor_folder *f = file;
    const hn_safetensor *t = NULL;
    for (size_t i = 0; i < f->n_files && !t; i++) t = hn_safetensors_find(f->files[i], name);
    if (!t) return false;
    *view = (hn_tensor_view){.dtype = t->dtype,
                             .dtype_name = t->dtype_name,
                             .n_dims = t->n_dims,
                             .data = t->data,
                             .size_bytes = t->size_bytes};
    memcpy(view->dims, t->dims, sizeof view->dims);
    return true;
}

static hn_str name_at(const void *file, size_t i) {
    const hn_tensor_folder *f = file;
    for (size_t k = 0; k < f->n_files; k++) {
        if (i < hn_safetensors_count(f->files[k])) return hn_str_of(hn_safetensors_at(f->files[k], i)->name);
        i -= hn_safetensors_count(f->files[k]);
    }
    return (hn_str){0};
}

hn_tensor_source hn_tensor_source_folder(const hn_tensor_folder *folder) {
    return (hn_tensor_source){.file = folder, .gguf = false, .find = find, .name_at = name_at};
}
