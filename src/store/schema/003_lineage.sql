-- The files that a run was made from, so that it can be computed again; and one line a run for lists, so that 30,000 runs list at once.
CREATE TABLE run_file (
    run_id INTEGER NOT NULL REFERENCES run (id),
    role   TEXT    NOT NULL,                         -- where hone.yaml names it: 'data.file', 'output.json'
    path   TEXT    NOT NULL,                         -- as it is written there
    object TEXT    NOT NULL,                         -- its bytes
    PRIMARY KEY (run_id, role)
) STRICT, WITHOUT ROWID;

CREATE INDEX run_parent_by_parent ON run_parent (parent_id, run_id);

-- Nothing here is a fact of its own: the triggers below keep it (and, since an untrusted schema may not call JSON functions, hn_run_finish the
-- metrics), and it can be made again from the other tables as is done here.
CREATE TABLE run_line (
    run_id      INTEGER PRIMARY KEY REFERENCES run (id),
    state       TEXT    NOT NULL DEFAULT 'running',
    reason      TEXT,
    started_ms  INTEGER,
    finished_ms INTEGER,
    n_done      INTEGER NOT NULL DEFAULT 0,          -- counts only where state is 'done'
    metrics     TEXT,                                -- JSON, out of the summary
    accuracy    REAL,
    low         REAL,
    high        REAL,
    starred     INTEGER NOT NULL DEFAULT 0,
    n_notes     INTEGER NOT NULL DEFAULT 0,
    tags        TEXT    NOT NULL DEFAULT ''
) STRICT;

INSERT INTO run_line (run_id, state, reason, started_ms, finished_ms, n_done, starred, n_notes, tags)
SELECT r.id,
       coalesce((SELECT state FROM run_event e WHERE e.run_id = r.id ORDER BY e.id DESC LIMIT 1), 'running'),
       (SELECT reason FROM run_event e WHERE e.run_id = r.id ORDER BY e.id DESC LIMIT 1),
       (SELECT min(at_ms) FROM run_event e WHERE e.run_id = r.id),
       (SELECT max(at_ms) FROM run_event e WHERE e.run_id = r.id AND e.state <> 'running'),
       (SELECT count(*) FROM prediction p WHERE p.run_id = r.id),
       coalesce((SELECT starred FROM star s WHERE s.run_id = r.id ORDER BY s.id DESC LIMIT 1), 0),
       (SELECT count(*) FROM note n WHERE n.run_id = r.id),
       coalesce((SELECT group_concat(t.name, ',') FROM tag t WHERE t.run_id = r.id
                 AND t.id = (SELECT max(u.id) FROM tag u WHERE u.name = t.name)), '')
FROM run r;
UPDATE run_line SET
    metrics  = (SELECT json_extract(summary, '$.metrics') FROM run_summary s WHERE s.run_id = run_line.run_id),
    accuracy = (SELECT json_extract(summary, '$.metrics.accuracy.value') FROM run_summary s WHERE s.run_id = run_line.run_id),
    low      = (SELECT json_extract(summary, '$.metrics.accuracy.low') FROM run_summary s WHERE s.run_id = run_line.run_id),
    high     = (SELECT json_extract(summary, '$.metrics.accuracy.high') FROM run_summary s WHERE s.run_id = run_line.run_id)
WHERE EXISTS (SELECT 1 FROM run_summary s WHERE s.run_id = run_line.run_id AND json_valid(summary));

CREATE TRIGGER run_line_begins AFTER INSERT ON run BEGIN
    INSERT INTO run_line (run_id) VALUES (new.id);
END;

CREATE TRIGGER run_line_moves AFTER INSERT ON run_event BEGIN
    UPDATE run_line SET
        state       = new.state,
        reason      = new.reason,
        started_ms  = min(coalesce(started_ms, new.at_ms), new.at_ms),
        finished_ms = CASE WHEN new.state = 'running' THEN finished_ms
                           ELSE max(coalesce(finished_ms, new.at_ms), new.at_ms) END,
        n_done      = CASE WHEN new.state = 'done'
                           THEN (SELECT count(*) FROM prediction p WHERE p.run_id = new.run_id) ELSE n_done END
    WHERE run_id = new.run_id;
END;

CREATE TRIGGER run_line_is_starred AFTER INSERT ON star BEGIN
    UPDATE run_line SET starred = new.starred WHERE run_id = new.run_id;
END;

CREATE TRIGGER run_line_is_noted AFTER INSERT ON note WHEN new.run_id IS NOT NULL BEGIN
    UPDATE run_line SET n_notes = n_notes + 1 WHERE run_id = new.run_id;
END;

-- A name that another run had moves to this one.
CREATE TRIGGER run_line_is_tagged AFTER INSERT ON tag BEGIN
    UPDATE run_line SET tags = coalesce(
        (SELECT group_concat(t.name, ',') FROM tag t WHERE t.run_id = run_line.run_id
         AND t.id = (SELECT max(u.id) FROM tag u WHERE u.name = t.name)), '')
    WHERE run_id = new.run_id OR run_id IN (SELECT o.run_id FROM tag o WHERE o.name = new.name);
END;
