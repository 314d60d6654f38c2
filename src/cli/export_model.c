/* hone export --model; see export_model.h. */
#include "cli/export_model.h"

#include "base/file.h"
#include "base/str.h"
#include "cli/inference.h"
#include "model/export_folder.h"
#include "model/modelfile.h"

#include <stdio.h>
#include <string.h>

static hn_status open_model(const char *name, bool *adapted, hn_model **model, hn_error *err) {
    char path[HN_PATH_MAX], adapter[HN_PATH_MAX];
    HN_TRY(hn_cli_resolve_model(name, path, adapter, err));
    *adapted = *adapter != 0;
    hn_status st = hn_model_open(path, HN_MODEL_IDS_ONLY, model, err);
    if (st == HN_OK && *adapted && (st = hn_model_add_adapter(*model, adapter, err)) != HN_OK) {
        hn_model_close(*model);
        *model = NULL;
    }
    return st;
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
    const char *type = hn_cli_string(cli, "type");
    hn_dtype dtype = strcmp(type, "f32") == 0 ? HN_DTYPE_F32 : strcmp(type, "f16") == 0 ? HN_DTYPE_F16 : HN_DTYPE_BF16;
    bool ollama = strcmp(hn_cli_string(cli, "to"), "ollama") == 0;
    hn_export_result r;
    hn_buf modelfile;
    hn_buf_init(&modelfile, 1 << 20);
    hn_status st = ollama ? hn_modelfile_make(model, ".", &modelfile, err) : HN_OK;
    if (st == HN_OK) st = hn_export_folder(model, dtype, folder, &r, err);
    if (st == HN_OK && ollama) st = write_modelfile(folder, &modelfile, err);
    hn_buf_free(&modelfile);
    return st == HN_OK ? show(cli, folder, adapted, &r, err) : st;
}

hn_status hn_cli_export_model(hn_cli *cli, hn_error *err) {
    const char *folder = hn_cli_string(cli, "out");
    bool adapted;
    hn_model *model = NULL;
    if (cli->n_positional) return hn_cli_usage(cli, err, "--model exports a model, %s is a run", cli->positional[0]);
    if (!folder || strcmp(folder, "-") == 0) return hn_cli_usage(cli, err, "--model needs -o FOLDER");
    HN_TRY(open_model(hn_cli_string(cli, "model"), &adapted, &model, err));
    hn_status st = export_to(cli, model, adapted, folder, err);
    hn_model_close(model);
    return st;
}
