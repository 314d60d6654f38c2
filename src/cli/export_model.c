/* hone export --model; see export_model.h. */
#include "cli/export_model.h"

#include "base/file.h"
#include "base/str.h"
#include "base/thread.h"
#include "cli/inference.h"
#include "model/adapter_export.h"
#include "model/export_folder.h"
#include "model/modelfile.h"

#include <stdio.h>
#include <string.h>

hn_status hn_cli_open_adapted(const char *name, char adapter[HN_PATH_MAX], hn_model **model, hn_error *err) {
    char path[HN_PATH_MAX];
    *model = NULL;
    HN_TRY(hn_cli_resolve_model(name, path, adapter, err));
    hn_status st = hn_model_open(path, HN_MODEL_IDS_ONLY, model, err);
    if (st == HN_OK && *adapter && (st = hn_model_add_adapter(*model, adapter, err)) != HN_OK) {
        hn_model_close(*model);
        *model = NULL;
    }
    return st;
}

static hn_dtype type_of(hn_cli *cli) {
    const char *type = hn_cli_string(cli, "type");
    return strcmp(type, "f32") == 0 ? HN_DTYPE_F32 : strcmp(type, "f16") == 0 ? HN_DTYPE_F16 : HN_DTYPE_BF16;
}

static hn_status write_modelfile(const char *folder, const hn_buf *text, hn_error *err) {
    char path[HN_PATH_MAX];
    HN_TRY(hn_path_join(path, folder, "Modelfile", err));
    return hn_file_write_atomic(path, hn_buf_str(text), text->len, err);
}

static hn_status show(hn_cli *cli, const char *folder, bool adapted, const hn_export_result *r, hn_error *err) {
    char size[32];
    bool ollama = strcmp(hn_cli_string(cli, "to"), "ollama") == 0;
    const char *type = hn_cli_string(cli, "type");
    if (!r->has_tokenizer)
        hn_output_note(cli->out, "the model has no tokenizer: the folder takes and gives token ids only");
    if (cli->out->json)
        return hn_cli_result(cli,
                             json_pack("{s:o,s:s,s:s,s:b,s:I,s:I,s:I,s:b,s:b}", "folder",
                                       hn_cli_text(folder, strlen(folder)), "to", hn_cli_string(cli, "to"), "type",
                                       type, "adapter", (int)adapted, "tensors", (json_int_t)r->n_tensors, "merged",
                                       (json_int_t)r->n_merged, "bytes", (json_int_t)r->bytes, "tokenizer",
                                       (int)r->has_tokenizer, "chat_template", (int)r->has_template),
                             err);
    hn_output_print(cli->out, "wrote %s: %zu tensors in %s, %s", folder, r->n_tensors, type,
                    hn_format_bytes(r->bytes, size));
    if (adapted) hn_output_print(cli->out, ", the adapter merged into %zu of them", r->n_merged);
    hn_output_print(cli->out, "\n");
    if (ollama) hn_output_print(cli->out, "next: ollama create NAME -f %s/Modelfile\n", folder);
    return HN_OK;
}

/* The Modelfile first: a template that cannot be said is an error before anything is written. */
static hn_status export_to(hn_cli *cli, const hn_model *model, bool adapted, const char *folder, hn_error *err) {
    bool ollama = strcmp(hn_cli_string(cli, "to"), "ollama") == 0;
    hn_export_result r;
    hn_buf modelfile;
    hn_buf_init(&modelfile, 1 << 20);
    hn_status st = ollama ? hn_modelfile_make(model, ".", &modelfile, err) : HN_OK;
    if (st == HN_OK) st = hn_export_folder(model, type_of(cli), folder, &r, err);
    if (st == HN_OK && ollama) st = write_modelfile(folder, &modelfile, err);
    hn_buf_free(&modelfile);
    return st == HN_OK ? show(cli, folder, adapted, &r, err) : st;
}

/* ---- GGUF, and adapters alone ---- */

static hn_status check_free(hn_cli *cli, const char *path, hn_error *err) {
    if (!hn_file_exists(path) || (hn_cli_flag(cli, "force") && !hn_file_is_dir(path))) return HN_OK;
    return hn_fail(err, HN_ERR_EXISTS, path, "give another name, or --force to replace it", "it is there already");
}

static hn_status show_gguf(hn_cli *cli, const char *file, bool adapted, const hn_export_gguf_result *r, hn_error *err) {
    char size[32];
    const char *type = hn_cli_string(cli, "type");
    if (!r->has_tokenizer)
        hn_output_note(cli->out, "the model has no tokenizer: the file takes and gives token ids only");
    if (cli->out->json)
        return hn_cli_result(cli,
                             json_pack("{s:o,s:s,s:s,s:b,s:I,s:I,s:I,s:b,s:b,s:b}", "file",
                                       hn_cli_text(file, strlen(file)), "to", hn_cli_string(cli, "to"), "type", type,
                                       "adapter", (int)adapted, "tensors", (json_int_t)r->n_tensors, "merged",
                                       (json_int_t)r->n_merged, "bytes", (json_int_t)r->report.bytes_after, "tokenizer",
                                       (int)r->has_tokenizer, "chat_template", (int)r->has_template, "requantized",
                                       (int)r->report.requantized),
                             err);
    hn_output_print(cli->out, "wrote %s: %zu tensors in %s, %s", file, r->n_tensors, type,
                    hn_format_bytes(r->report.bytes_after, size));
    if (adapted) hn_output_print(cli->out, ", the adapter merged into %zu of them", r->n_merged);
    hn_output_print(cli->out, "\n");
    return HN_OK;
}

static void on_progress(void *user, uint64_t done, uint64_t total) {
    hn_progress *progress = user;
    progress->total = total;
    hn_progress_update(progress, done);
}

hn_status hn_cli_write_gguf(hn_cli *cli, const hn_model *model, hn_dtype format, const char *file, int n_threads,
                            hn_export_gguf_result *r, hn_error *err) {
    hn_progress progress;
    hn_quantize_options options = {.format = format, .on_progress = on_progress, .user = &progress};
    HN_TRY(hn_pool_create(n_threads, &options.pool, err));
    hn_progress_begin(&progress, cli->out, "writing", 0, HN_PROGRESS_COUNT, "weights");
    hn_status st = hn_export_gguf(model, file, &options, r, err);
    hn_progress_end(&progress);
    hn_pool_free(options.pool);
    return st;
}

static hn_status export_gguf(hn_cli *cli, const hn_model *model, bool adapted, const char *file, hn_error *err) {
    hn_export_gguf_result r;
    HN_TRY(check_free(cli, file, err));
    if (hn_file_is_same(hn_model_path(model), file))
        return hn_fail(err, HN_ERR_USAGE, file, "give another name to -o",
                       "the new file would replace the model that it is made from");
    HN_TRY(hn_cli_write_gguf(cli, model, type_of(cli), file, 0, &r, err));
    hn_status st = show_gguf(cli, file, adapted, &r, err);
    hn_export_gguf_result_free(&r);
    return st;
}

static hn_status write_adapter(hn_cli *cli, const hn_model *model, const hn_adapter *a, const char *path,
                               hn_error *err) {
    char config[HN_PATH_MAX];
    if (strcmp(hn_cli_string(cli, "to"), "gguf-adapter") == 0) {
        HN_TRY(check_free(cli, path, err));
        return hn_adapter_export_gguf(a, hn_model_shape(model), hn_path_base(path), path, err);
    }
    HN_TRY(hn_path_join(config, path, "adapter_config.json", err));
    if (hn_file_exists(config))
        return hn_fail(err, HN_ERR_EXISTS, path, "name another folder, or remove this one",
                       "the folder holds an adapter already");
    return hn_adapter_export_peft(a, hn_model_shape(model), a->base_name, path, err);
}

static hn_status export_adapter(hn_cli *cli, const hn_model *model, const char *adapter, const char *path,
                                hn_error *err) {
    hn_adapter a;
    const char *to = hn_cli_string(cli, "to");
    if (!*adapter) return hn_cli_usage(cli, err, "--to %s needs an adapter: --model MODEL+ADAPTER or tune:RUN", to);
    HN_TRY(hn_adapter_read(adapter, hn_model_shape(model), cli->arena, &a, err));
    if (hn_cli_given(cli, "base-name")) a.base_name = hn_cli_string(cli, "base-name");
    HN_TRY(write_adapter(cli, model, &a, path, err));
    const char *base = a.base_name ? a.base_name : "";
    if (cli->out->json)
        return hn_cli_result(cli,
                             json_pack("{s:o,s:s,s:o,s:I,s:f,s:i,s:o}", *to == 'g' ? "file" : "folder",
                                       hn_cli_text(path, strlen(path)), "to", to, "source",
                                       hn_cli_text(adapter, strlen(adapter)), "matrices", (json_int_t)a.n_parts,
                                       "alpha", a.alpha, "rank", a.rank, "base",
                                       a.base_name ? hn_cli_text(base, strlen(base)) : json_null()),
                             err);
    hn_output_print(cli->out, "wrote %s: %zu matrices", path, a.n_parts);
    if (a.rank) hn_output_print(cli->out, ", rank %d", a.rank);
    hn_output_print(cli->out, ", alpha %g%s%s\n", a.alpha, *base ? ", for " : "", base);
    return HN_OK;
}

hn_status hn_cli_export_model(hn_cli *cli, hn_error *err) {
    const char *path = hn_cli_string(cli, "out"), *to = hn_cli_string(cli, "to");
    char adapter[HN_PATH_MAX];
    hn_model *model;
    if (cli->n_positional) return hn_cli_usage(cli, err, "--model exports a model, %s is a run", cli->positional[0]);
    if (!path || strcmp(path, "-") == 0)
        return hn_cli_usage(cli, err, "--model needs -o %s", hn_starts_with(to, "gguf") ? "FILE" : "FOLDER");
    HN_TRY(hn_cli_open_adapted(hn_cli_string(cli, "model"), adapter, &model, err));
    hn_status st;
    if (strcmp(to, "gguf") == 0)
        st = export_gguf(cli, model, *adapter != 0, path, err);
    else if (strcmp(to, "gguf-adapter") == 0 || strcmp(to, "peft") == 0)
        st = export_adapter(cli, model, adapter, path, err);
    else
        st = export_to(cli, model, *adapter != 0, path, err);
    hn_model_close(model);
    return st;
}
