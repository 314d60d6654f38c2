/* hone export --model: a model, with its adapter merged, as a Hugging Face folder (and beside it a Modelfile for Ollama) or a GGUF file; or its adapter
 * alone.
 *
 *     if (hn_cli_given(cli, "model")) return hn_cli_export_model(cli, err);
 *
 * Reads --model, --to, --type, --out, --base-name and --force. Threading: main thread. */
#ifndef HN_CLI_EXPORT_MODEL_H
#define HN_CLI_EXPORT_MODEL_H

#include "base/file.h"
#include "cli/command.h"
#include "model/export_gguf.h"

hn_status hn_cli_export_model(hn_cli *cli, hn_error *err) HN_MUST_CHECK;
/* The model that a name means (MODEL, MODEL+ADAPTER, tune:RUN) with its adapter beside the weights; `adapter` "" where it has none. Token ids are enough:
 * it may have no tokenizer. */
hn_status hn_cli_open_adapted(const char *name, char adapter[HN_PATH_MAX], hn_model **model,
                              hn_error *err) HN_MUST_CHECK;
/* hn_export_gguf with a progress bar; n_threads 0: one per CPU. */
hn_status hn_cli_write_gguf(hn_cli *cli, const hn_model *model, hn_dtype format, const char *file, int n_threads,
                            hn_export_gguf_result *result, hn_error *err) HN_MUST_CHECK;

#endif
