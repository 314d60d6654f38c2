/* hone export --model: a model, with its adapter merged, as a Hugging Face folder, and beside it a Modelfile for Ollama.
 *
 *     if (hn_cli_given(cli, "model")) return hn_cli_export_model(cli, err);
 *
 * Reads --model, --to, --type and --out. Threading: main thread. */
#ifndef HN_CLI_EXPORT_MODEL_H
#define HN_CLI_EXPORT_MODEL_H

#include "cli/command.h"

hn_status hn_cli_export_model(hn_cli *cli, hn_error *err) HN_MUST_CHECK;

#endif
