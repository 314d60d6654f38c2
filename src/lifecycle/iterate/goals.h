/* Goals: a finished run against what hone.yaml asks for - target, limits, and the pinned baseline - one sentence each. Every report shows
 * them, and a gate can ask whether all are met.
 *
 *     hn_goals g;
 *     HN_TRY(hn_goals_check(&(hn_goal_facts){.scope = scope, .store = store, .run = run, ...}, &g, &err));
 *     for (size_t i = 0; i < g.n; i++) puts(g.items[i].text);
 *
 * Ownership: a plain value. Threading: one thread. */
#ifndef HN_LIFECYCLE_GOALS_H
#define HN_LIFECYCLE_GOALS_H

#include "lifecycle/eval/run_report.h"
#include "lifecycle/scope/baseline.h"
#include "project/project.h"
#include "stats/verdict.h"

typedef enum hn_goal_state {
    HN_GOAL_MET,
    HN_GOAL_UNSURE, /* the number says yes or no, its interval says that it could be otherwise */
    HN_GOAL_MISSED,
    HN_GOAL_UNKNOWN, /* cannot be told here; the text says why */
} hn_goal_state;

/* "met", "unsure", "missed", "unknown": as in JSON. */
const char *hn_goal_state_name(hn_goal_state state);

typedef struct hn_goal {
    const char *name; /* "target", "latency_ms", "memory_mb", "cost_per_1000", "baseline" */
    hn_goal_state state;
    char text[320]; /* the sentence for people */
} hn_goal;

enum { HN_GOALS_MAX = 5 };
typedef struct hn_goals {
    hn_goal items[HN_GOALS_MAX];
    size_t n; /* as many as hone.yaml names */
} hn_goals;

typedef struct hn_goal_facts {
    const hn_scope *scope;
    hn_store *store;
    const hn_run *run;
    const hn_prediction_list *predictions; /* of the run */
    const hn_report *report;               /* of the same predictions */
    const hn_baselines *baselines;         /* on the same cases in the same order; or NULL */
} hn_goal_facts;

/* Nothing but memory or the store can fail: a baseline that is gone is a goal whose state is unknown. */
hn_status hn_goals_check(const hn_goal_facts *facts, hn_goals *out, hn_error *err) HN_MUST_CHECK;
/* [{"name","state","text"}] */
hn_status hn_goals_json(const hn_goals *goals, json_t **value, hn_error *err) HN_MUST_CHECK;

#endif
