/* hone.yaml into an hn_scope: every key checked, every complaint with file:line:column and a remedy. docs/project.md has all keys.
 *
 *     hn_yaml *doc; hn_scope scope;
 *     HN_TRY(hn_yaml_load("hone.yaml", &doc, &err));
 *     HN_TRY(hn_scope_parse(doc, "/home/me/tickets", arena, &scope, &err));
 *
 * Used by project.c; other parts get their scope from an hn_project. Ownership: the scope's text is in the arena, its schema is freed by
 * hn_contract_free, its graders by hn_grader_configs_free (both also after an error), the document stays the caller's. Threading: one thread. */
#ifndef HN_PROJECT_SCOPE_H
#define HN_PROJECT_SCOPE_H

#include "format/yaml.h"
#include "project/project.h"

/* `root`: the folder that paths in the file are relative to. */
hn_status hn_scope_parse(const hn_yaml *doc, const char *root, hn_arena *arena, hn_scope *scope,
                         hn_error *err) HN_MUST_CHECK;
/* What a scope owns outside its arena. */
void hn_contract_free(hn_contract *contract);
/* `output: json`: `node` is a file's name, a schema written in place, or NULL (any JSON). HN_ERR_INPUT or HN_ERR_UNSUPPORTED with the place
 * in the schema. */
hn_status hn_contract_load_json(const hn_yaml_node *node, const char *root, hn_contract *contract,
                                hn_error *err) HN_MUST_CHECK;
/* Content id of what decides cases and right answers: the columns' roles, split, output contract, metric. */
hn_status hn_scope_hash(const hn_scope *scope, char hex[65], hn_error *err) HN_MUST_CHECK;
/* Gives each case its label and checks its target: missing ones, labels and numbers that the contract does not allow, labels that no case
 * has. `doc` is the scope's, for places. */
hn_status hn_scope_check_targets(const hn_scope *scope, const hn_yaml *doc, hn_dataset *dataset,
                                 hn_error *err) HN_MUST_CHECK;

#endif
