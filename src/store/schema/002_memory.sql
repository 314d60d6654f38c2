-- A run can fail for good; what people say of runs; where a run came from; several marks for one answer.
CREATE TABLE run_event_new (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES run (id),
    at_ms  INTEGER NOT NULL,
    state  TEXT    NOT NULL CHECK (state IN ('running', 'stopped', 'done', 'failed')),
    reason TEXT                                      -- failed: why
) STRICT;
INSERT INTO run_event_new (id, run_id, at_ms, state) SELECT id, run_id, at_ms, state FROM run_event;
DROP TABLE run_event;
ALTER TABLE run_event_new RENAME TO run_event;
CREATE INDEX run_event_by_run ON run_event (run_id, id);

CREATE TABLE run_parent (
    run_id    INTEGER NOT NULL REFERENCES run (id),
    parent_id INTEGER NOT NULL REFERENCES run (id),
    role      TEXT    NOT NULL,                      -- 'regrade': the answers are the parent's; 'replay'
    PRIMARY KEY (run_id, parent_id, role)
) STRICT, WITHOUT ROWID;

CREATE TABLE note (
    id     INTEGER PRIMARY KEY,
    run_id INTEGER REFERENCES run (id),              -- NULL: of the project
    at_ms  INTEGER NOT NULL,
    text   TEXT    NOT NULL
) STRICT;
CREATE INDEX note_by_run ON note (run_id, id);

CREATE TABLE star (                                  -- the last row of a run counts
    id      INTEGER PRIMARY KEY,
    run_id  INTEGER NOT NULL REFERENCES run (id),
    at_ms   INTEGER NOT NULL,
    starred INTEGER NOT NULL
) STRICT;
CREATE INDEX star_by_run ON star (run_id, id);

CREATE TABLE score (                                 -- what graders said of a prediction, besides its correctness
    run_id   INTEGER NOT NULL REFERENCES run (id),
    position INTEGER NOT NULL,
    grader   TEXT    NOT NULL,
    value    REAL,                                   -- NULL: this grader has nothing to say of this answer
    details  TEXT,                                   -- JSON, such as a judge's probabilities of each grade
    PRIMARY KEY (run_id, grader, position)
) STRICT, WITHOUT ROWID;
