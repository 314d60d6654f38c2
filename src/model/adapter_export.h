/* Writing an adapter that was read (model/adapter.h) in another form: a GGUF file for llama.cpp, or a folder for PEFT.
 *
 *     HN_TRY(hn_adapter_read("lora", shape, arena, &a, &err));
 *     HN_TRY(hn_adapter_export_gguf(&a, shape, "support tickets", "lora.gguf", &err));
 *     HN_TRY(hn_adapter_export_peft(&a, shape, "HuggingFaceTB/SmolLM2-135M-Instruct", "peft", &err));
 *
 * A and B are written as F32, bit for bit; GGUF's rows of query and key matrices in GGUF's order. Ownership: nothing is kept. Threading: one thread. */
#ifndef HN_MODEL_ADAPTER_EXPORT_H
#define HN_MODEL_ADAPTER_EXPORT_H

#include "model/adapter.h"

/* `name`: general.name. HN_ERR_UNSUPPORTED: an adapter that GGUF cannot say (alpha 0, which means a scaling of 1 there). */
hn_status hn_adapter_export_gguf(const hn_adapter *adapter, const hn_shape *shape, const char *name, const char *path,
                                 hn_error *err) HN_MUST_CHECK;
/* `base_name` as adapter_config.json gets it; NULL: not said. HN_ERR_UNSUPPORTED: ranks that differ between matrices. */
hn_status hn_adapter_export_peft(const hn_adapter *adapter, const hn_shape *shape, const char *base_name,
                                 const char *folder, hn_error *err) HN_MUST_CHECK;

#endif
