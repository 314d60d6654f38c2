/* How much of a model's context window cases and prompts take.
 *
 *     hn_audit_room room;
 *     HN_TRY(hn_audit_room_make(scope, dataset, model, context, paths, n_paths, &room, &err));
 *     setup.tokens = room.tokens; setup.context = room.context; setup.prompts = room.prompts; setup.n_prompts = room.n_prompts;
 *     hn_audit_room_free(&room);
 *
 * Every case's own text is counted. Prompts are rendered, with the examples that a run would show, for the ROOM_TRIED longest cases; the
 * most that they add there is taken for all. Prompts that cannot be read are left to `hone eval` to complain about.
 * Ownership: the room owns its arrays. Threading: one thread. */
#ifndef HN_LIFECYCLE_AUDIT_ROOM_H
#define HN_LIFECYCLE_AUDIT_ROOM_H

#include "lifecycle/scope/audit.h"

typedef struct hn_audit_room {
    int *tokens;              /* (n_cases) */
    int context;              /* 0: not known */
    hn_audit_prompt *prompts; /* (n_prompts); names in the arena */
    size_t n_prompts;
    hn_arena *arena;
} hn_audit_room;

/* `model`: a vocabulary will do. `paths` (n_paths): prompt files. */
hn_status hn_audit_room_make(const hn_scope *scope, const hn_dataset *dataset, const hn_model *model, int context,
                             const char *const *paths, size_t n_paths, hn_audit_room *room,
                             hn_error *err) HN_MUST_CHECK;
void hn_audit_room_free(hn_audit_room *room);

#endif
