/* The window a file names; see context_length.h. */
#include "model/context_length.h"

#include "base/file.h"
#include "format/gguf.h"

#include <limits.h>
#include <stdio.h>

int hn_model_context_of(const char *path) {
    hn_gguf *gguf;
    char key[96];
    if (hn_file_is_dir(path) || hn_gguf_open(path, &gguf, NULL) != HN_OK) return 0;
    hn_str architecture = hn_gguf_str(gguf, "general.architecture");
    snprintf(key, sizeof key, "%.*s.context_length", (int)(architecture.len < 64 ? architecture.len : 64),
             architecture.data ? architecture.data : "");
    uint32_t context = hn_gguf_u32(gguf, key, 0);
    hn_gguf_close(gguf);
    return context < INT32_MAX ? (int)context : 0;
}
