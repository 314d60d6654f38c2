-- Runs, their predictions, answers by content key, tags, and the ledger of looks at the test split.
-- Rows are only ever added: a run's state is its last event, a tag belongs to the run that it was given to last.
CREATE TABLE run (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- r7 is id 7; never used again
    content_id    TEXT    NOT NULL,                  -- hash of everything that decides the answers
    kind          TEXT    NOT NULL,
    prompt_name   TEXT,
    prompt_hash   TEXT,
    prompt_object TEXT,
    scope_object  TEXT,
    scope_hash    TEXT,
    dataset_hash  TEXT,
    split         TEXT,
    n_cases       INTEGER NOT NULL,
    case_set_hash TEXT,
    model_name    TEXT,
    model_hash    TEXT,
    template_hash TEXT,
    numeric_path  TEXT,
    parameters    TEXT,                              -- JSON
    code_version  TEXT,
    metric        TEXT
) STRICT;
CREATE INDEX run_by_content ON run (content_id);

CREATE TABLE run_event (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    at_ms  INTEGER NOT NULL,
    state  TEXT    NOT NULL CHECK (state IN ('running', 'stopped', 'done'))
) STRICT;
CREATE INDEX run_event_by_run ON run_event (run_id, id);

CREATE TABLE run_summary (
    run_id  INTEGER PRIMARY KEY REFERENCES run (id),
    summary TEXT NOT NULL                            -- JSON: metrics, tokens, seconds
) STRICT;

CREATE TABLE prediction (
    run_id            INTEGER NOT NULL REFERENCES run (id),
    position          INTEGER NOT NULL,
    case_id           TEXT    NOT NULL,
    target            TEXT,
    grouping          TEXT,
    value             TEXT,                          -- NULL: no valid answer
    text              TEXT,
    correct           INTEGER NOT NULL,
    score             REAL,
    probabilities     BLOB,                          -- little-endian doubles
    raw_logprobs      BLOB,
    prompt_tokens     INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    prefill_ms        REAL,
    decode_ms         REAL,
    finish            TEXT,
    error             TEXT,
    cache_key         TEXT,
    from_cache        INTEGER NOT NULL,
    details           TEXT,                          -- JSON: examples used, reasoning
    PRIMARY KEY (run_id, position)
) STRICT;

CREATE TABLE answer_cache (
    key      TEXT PRIMARY KEY,
    value    TEXT    NOT NULL,                       -- JSON
    added_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE tag (
    id     INTEGER PRIMARY KEY,
    name   TEXT    NOT NULL,
    run_id INTEGER NOT NULL REFERENCES run (id),
    at_ms  INTEGER NOT NULL
) STRICT;
CREATE INDEX tag_by_name ON tag (name, id);

CREATE TABLE test_look (
    id           INTEGER PRIMARY KEY,
    run_id       INTEGER NOT NULL REFERENCES run (id),
    dataset_hash TEXT    NOT NULL,
    at_ms        INTEGER NOT NULL
) STRICT;
CREATE INDEX test_look_by_dataset ON test_look (dataset_hash);
