/* Opening remote models; see remote_cli.h. This file alone of the command line needs the HTTP client. */
#include "cli/remote_cli.h"

#include "provider/remote.h"

#include <stdlib.h>

static const char *folder(const char *name) {
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

hn_status hn_cli_remote_open(const hn_remote_model *model, double budget, hn_provider **provider, hn_error *err) {
    /* one for all models of a command: this program runs one */
    static hn_budget shared;
    shared.limit = budget;
    hn_remote_options options = {
        .budget = &shared, .record_dir = folder("HONE_RECORD"), .replay_dir = folder("HONE_REPLAY")};
    return hn_provider_remote_open(model, &options, provider, err);
}
