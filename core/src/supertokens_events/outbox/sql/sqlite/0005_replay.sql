-- When a person last made it due again, and the replays that are under way or were interrupted.
ALTER TABLE delivery ADD COLUMN replayed_at REAL;

CREATE TABLE replay (
    id        INTEGER PRIMARY KEY,
    asked     TEXT NOT NULL,
    target    TEXT,
    selection TEXT NOT NULL,
    by        TEXT NOT NULL,
    began_at  REAL NOT NULL,
    since     REAL NOT NULL,
    seen_at   REAL NOT NULL
);
