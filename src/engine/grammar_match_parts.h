/* What following a grammar is made of; shared by grammar_vocab.c, grammar_threads.c, grammar_local.c, grammar_cache.c and
 * grammar_match.c, and seen by their tests.
 *
 * A thread is a state and a stack: the calls to come back to, newest first. Equal stacks are one frame number, since
 * frames are made once (hash-consed); a frame of a counted repeat carries the number of the round that is running. All
 * threads together are what the text so far may mean.
 *
 * A mask is made in two parts. What tokens do above a thread's stack depends on its state alone (and on whether it runs
 * inside a repeat): a walk over the trie of all tokens finds it once (hn_local). Where a token gets past the end of the
 * procedure, the walk notes the place (an exit), and only from there on the real stack is followed. Inside a repeat the
 * walk counts rounds from 0; what it found is then cut to the rounds that are left, so that counting up to 100,000
 * needs one walk and not 100,000. Where much of the trie lies behind an exit, the same is done there: the threads after
 * the exit have local parts of their own for that node's subtree.
 *
 * Threading: a vocabulary with all its automata and matches belongs to one thread at a time. */
#ifndef HN_ENGINE_GRAMMAR_MATCH_PARTS_H
#define HN_ENGINE_GRAMMAR_MATCH_PARTS_H

#include "base/str.h"
#include "engine/grammar_match.h"
#include "engine/grammar_parts.h"

enum {
    HN_GFRAME_BOTTOM = -1,       /* nothing to come back to: where the root ends, the text may end */
    HN_GFRAME_UNKNOWN = -2,      /* a walk's stack: whatever it is */
    HN_GFRAME_UNKNOWN_LOOP = -3, /* the same, and its top is a repeat */
    HN_GTHREADS_MAX = 2048,      /* open at once */
    HN_GFRAMES_MAX = 8 << 20,
    HN_GTOKEN_MAX = 1024, /* bytes; longer tokens are never allowed */
};

typedef struct hn_gframe {
    int32_t call, round, parent; /* index of the call; the round that is running, from 1; frame below */
} hn_gframe;

typedef struct hn_gthread {
    int32_t state, frame;
    int32_t rounds; /* walks inside a repeat: rounds that ended since their start; else 0 */
} hn_gthread;

/* --- a vocabulary (grammar_vocab.c): nodes in preorder, so that a subtree is [node, skip[node]) --- */

typedef struct hn_automaton hn_automaton;

struct hn_grammar_vocab {
    int32_t n_tokens;
    size_t n_words; /* of a mask */
    char *bytes;    /* of all tokens; none of those that are never allowed */
    uint32_t *offsets;
    int32_t *ids; /* tokens in the order of their bytes */
    uint32_t n_nodes, max_depth;
    uint8_t *node_byte;
    uint16_t *node_depth;
    uint32_t *node_skip;
    uint32_t *node_first;   /* (n_nodes + 1): tokens that end at a node: ids[node_first[i]] ... */
    hn_automaton *automata; /* most recently used first */
    size_t n_automata;
};

/* For tests: tokens by their bytes; an empty one is never allowed. */
hn_status hn_grammar_vocab_from_pieces(const hn_str *pieces, int32_t n, hn_grammar_vocab **vocab,
                                       hn_error *err) HN_MUST_CHECK;

/* --- stacks and steps (grammar_threads.c) --- */

typedef struct hn_frames {
    hn_gframe *items;
    int32_t *slots; /* -1: free */
    size_t n, capacity, mask;
} hn_frames;

/* Scratch of stepping; the threads of several levels behind each other. */
typedef struct hn_stepper {
    const hn_grammar *g;
    hn_frames *frames;
    hn_gthread *threads;
    size_t n_threads, thread_capacity;
    hn_gthread *work;
    size_t n_work, work_capacity;
    uint32_t *index; /* thread numbers of the level in work by hash, once it has many */
    uint32_t *index_stamp;
    uint32_t stamp;
    bool is_indexed;
    int32_t loop_procedure; /* of a walk below whose start is a repeat of it; -1: none */
    bool ends;              /* the last step met the end of the root */
    uint32_t *exits;        /* the last step left the walk's procedure, having ended so many rounds */
    size_t n_exits, exit_capacity;
} hn_stepper;

hn_status hn_frames_init(hn_frames *f) HN_MUST_CHECK;
void hn_frames_free(hn_frames *f);
hn_status hn_frames_get(hn_frames *f, hn_gframe frame, int32_t *number) HN_MUST_CHECK;
hn_status hn_stepper_init(hn_stepper *s) HN_MUST_CHECK;
void hn_stepper_free(hn_stepper *s);
/* Begins a new level at the end of `threads`. */
void hn_stepper_level(hn_stepper *s);
/* Adds a thread with all that it leads to without a byte to the level that begins at `first`. */
hn_status hn_stepper_add(hn_stepper *s, size_t first, hn_gthread thread) HN_MUST_CHECK;
/* A new level: where the threads [first, end) get by one byte. */
hn_status hn_stepper_step(hn_stepper *s, size_t first, size_t end, uint8_t byte) HN_MUST_CHECK;

/* --- what a state's tokens do above the stack (grammar_local.c) --- */

typedef struct hn_exit {
    uint32_t node;   /* of the trie: the first byte after the procedure's end is this node's */
    uint32_t rounds; /* that have ended by then */
} hn_exit;

typedef struct hn_local {
    struct hn_local *next; /* in its bucket */
    int32_t state, loop_procedure;
    uint32_t top; /* the tokens below this node; 0: all */
    uint64_t used_at;
    size_t size_bytes;
    uint32_t n_needs;      /* 1 + the most rounds that a token needs beyond the running one */
    uint32_t *first_token; /* (n_needs + 1): tokens[first_token[k]] ... need k more rounds */
    int32_t *tokens;
    uint64_t **masks; /* (n_needs): what is allowed with k more rounds, made when first asked for */
    hn_exit *exits;   /* by byte */
    uint32_t first_exit[257];
} hn_local;

hn_status hn_local_create(hn_stepper *s, const hn_grammar_vocab *v, int32_t state, int32_t loop_procedure, uint32_t top,
                          hn_local **local, hn_error *err) HN_MUST_CHECK;
void hn_local_free(hn_local *l);
/* Adds to the mask what is allowed with `more` rounds after the running one. */
hn_status hn_local_allow(hn_local *l, size_t n_words, int64_t more, uint64_t *mask) HN_MUST_CHECK;

/* --- a grammar with a vocabulary: what matches share (grammar_cache.c) --- */

/* A thread whose tokens below `top` are still to be allowed. */
typedef struct hn_gpending {
    hn_gthread thread;
    uint32_t top;
} hn_gpending;

typedef struct hn_config {
    struct hn_config *next; /* in its bucket */
    uint64_t hash;
    uint32_t n_threads;
    uint64_t *mask;
    hn_gthread threads[];
} hn_config;

enum { HN_GBUCKETS = 4096 };

struct hn_automaton {
    hn_automaton *next;
    char hash[HN_SHA256_HEX];
    size_t n_matches, n_words;
    hn_grammar_match *matches;
    hn_frames frames;
    hn_stepper stepper;
    hn_local *locals[HN_GBUCKETS];
    hn_config *configs[HN_GBUCKETS];
    size_t local_bytes, config_bytes;
    uint64_t clock;
};

struct hn_grammar_match {
    const hn_grammar *g;
    hn_grammar_vocab *v;
    hn_automaton *a;
    hn_grammar_match *next, *previous; /* of the automaton */
    hn_gthread *threads;               /* those that can take a byte, sorted */
    size_t n_threads, capacity;
    bool can_end;
    uint64_t *mask;
    hn_gpending *pending; /* of the mask that is being made */
    size_t n_pending, pending_capacity;
};

hn_status hn_automaton_take(hn_grammar_vocab *v, const hn_grammar *g, hn_automaton **a, hn_error *err) HN_MUST_CHECK;
void hn_automaton_give_back(hn_grammar_vocab *v, hn_automaton *a);
void hn_automaton_free_all(hn_grammar_vocab *v);
/* The state's local part: kept, or made now. Valid until the next call. */
hn_status hn_automaton_local(hn_automaton *a, const hn_grammar_vocab *v, int32_t state, int32_t loop_procedure,
                             uint32_t top, hn_local **local, hn_error *err) HN_MUST_CHECK;
/* The mask kept for these threads, or NULL; and keeping one (which may fail: then it is not kept). */
const uint64_t *hn_automaton_find(const hn_automaton *a, const hn_gthread *threads, size_t n);
void hn_automaton_keep(hn_automaton *a, const hn_gthread *threads, size_t n, const uint64_t *mask);
/* Drops the frames that no match needs, once there are many. */
hn_status hn_automaton_tidy(hn_automaton *a) HN_MUST_CHECK;

#endif
