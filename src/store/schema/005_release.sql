-- What is served: a run's app under a name and a number; which one of a name is current (the last event counts); the proofs that a server answers as was
-- measured. As everywhere, rows are only ever added.
CREATE TABLE release (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT    NOT NULL,
    number     INTEGER NOT NULL,                     -- from 1, of its name
    run_id     INTEGER NOT NULL REFERENCES run (id),
    at_ms      INTEGER NOT NULL,
    content_id TEXT    NOT NULL,                     -- hash of the manifest
    manifest   TEXT    NOT NULL,                     -- JSON: all that decides its answers
    evidence   TEXT    NOT NULL,                     -- JSON: goals, verdict against the release before
    forced     TEXT,                                 -- why it was released against the evidence
    UNIQUE (name, number)
) STRICT;

CREATE TABLE release_event (
    id         INTEGER PRIMARY KEY,
    release_id INTEGER NOT NULL REFERENCES release (id),
    at_ms      INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('deploy', 'rollback'))
) STRICT;
CREATE INDEX release_event_by_release ON release_event (release_id, id);

CREATE TABLE release_check (
    id         INTEGER PRIMARY KEY,
    release_id INTEGER NOT NULL REFERENCES release (id),
    at_ms      INTEGER NOT NULL,
    passed     INTEGER NOT NULL,
    result     TEXT    NOT NULL                      -- JSON
) STRICT;
CREATE INDEX release_check_by_release ON release_check (release_id, id);
