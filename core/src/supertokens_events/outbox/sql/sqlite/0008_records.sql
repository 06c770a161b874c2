-- How far somebody has come: a small JSON object under a name. `due_at` is when the next may take a turn.
CREATE TABLE bookmark (
    name   TEXT PRIMARY KEY,
    value  TEXT,
    due_at REAL
) WITHOUT ROWID;

-- What was told of each login method, as a small JSON object of fingerprints. It outlives the events that it comes from.
CREATE TABLE told (
    recipe_user_id TEXT PRIMARY KEY,
    user_id        TEXT,
    own_id         TEXT,
    facts          TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX told_user ON told (user_id);
CREATE INDEX told_own ON told (own_id) WHERE own_id IS NOT NULL;

-- Who was told to have a role, in which tenant. Without a user: that there is a role; with a tenant alone: that there is one.
CREATE TABLE told_grant (
    tenant_id TEXT NOT NULL,
    role      TEXT NOT NULL,
    user_id   TEXT NOT NULL,
    PRIMARY KEY (tenant_id, role, user_id)
) WITHOUT ROWID;
CREATE INDEX told_grant_user ON told_grant (user_id);
