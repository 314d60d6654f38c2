/* Which run came before; see predecessor.h. */
#include "lifecycle/iterate/predecessor.h"

#include <string.h>

/* Repetitions of one app follow each other: so many are looked through for something else. */
enum { LOOK_BACK = 200 };

static hn_status find_parent(hn_store *store, const hn_run *run, int64_t *parent, hn_error *err) {
    hn_run_links links;
    *parent = 0;
    HN_TRY(hn_run_links_load(store, run->id, &links, err));
    for (size_t i = 0; i < links.n && !*parent; i++)
        if (links.rows[i].run_id == run->id && links.rows[i].parent_id < run->id) *parent = links.rows[i].parent_id;
    hn_run_links_free(&links);
    return HN_OK;
}

static hn_status find_earlier(hn_store *store, const hn_run *run, const char *prompt, int64_t *found, hn_error *err) {
    hn_run_lines lines;
    hn_run_filter filter = {.prompt = prompt,
                            .split = run->spec.split,
                            .state = "done",
                            .kind = run->kind,
                            .before = run->id,
                            .limit = LOOK_BACK};
    *found = 0;
    HN_TRY(hn_run_lines_load(store, &filter, &lines, err));
    for (size_t i = 0; i < lines.n && !*found; i++) {
        const hn_run_line *line = &lines.rows[i];
        bool same_prompt = !prompt || (line->prompt_name && strcmp(line->prompt_name, prompt) == 0);
        if (same_prompt && strcmp(line->content_id, run->content_id) != 0) *found = line->id;
    }
    hn_run_lines_free(&lines);
    return HN_OK;
}

hn_status hn_predecessor_find(hn_store *store, const hn_run *run, int64_t *before, hn_error *err) {
    HN_TRY(find_parent(store, run, before, err));
    if (!*before && run->spec.prompt_name) HN_TRY(find_earlier(store, run, run->spec.prompt_name, before, err));
    return *before ? HN_OK : find_earlier(store, run, NULL, before, err);
}
