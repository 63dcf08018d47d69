//! The queries of leases and workers. The view `database_clock` tells the time: one clock for every process.

/// Takes a lease that is free. No row if another holds it, or this owner does already.
pub(crate) const ACQUIRE: &str = "
    INSERT INTO leases (name, owner, token, since, expires_at)
    SELECT $1, $2, 1, now_us, now_us + $3 FROM database_clock WHERE true
    ON CONFLICT (name) DO UPDATE
    SET owner = excluded.owner, token = leases.token + 1, since = excluded.since, expires_at = excluded.expires_at
    WHERE leases.expires_at <= excluded.since";

pub(crate) const LEASE_OF: &str = "
    SELECT name, owner, token, since FROM leases, database_clock
    WHERE name = $1 AND owner = $2 AND expires_at > now_us";

/// No row if the lease is lost.
pub(crate) const RENEW: &str = "
    UPDATE leases SET expires_at = (SELECT now_us FROM database_clock) + $3
    WHERE name = $1 AND token = $2 AND expires_at > (SELECT now_us FROM database_clock)";

pub(crate) const RELEASE: &str = "
    UPDATE leases SET expires_at = 0 WHERE name = $1 AND token = $2";

pub(crate) const CHECK: &str = "
    SELECT token FROM leases, database_clock
    WHERE name = $1 AND token = $2 AND expires_at > now_us";

pub(crate) const HELD: &str = "
    SELECT name, owner, token, since FROM leases, database_clock
    WHERE expires_at > now_us ORDER BY name";

pub(crate) const REPORT_WORKER: &str = "
    INSERT INTO workers (id, roles, since, expires_at)
    SELECT $1, $2, now_us, now_us + $3 FROM database_clock WHERE true
    ON CONFLICT (id) DO UPDATE SET roles = excluded.roles, expires_at = excluded.expires_at";

pub(crate) const RETIRE_WORKER: &str = "DELETE FROM workers WHERE id = $1";

/// Those nobody has heard of for an hour.
pub(crate) const FORGET_WORKERS: &str = "
    DELETE FROM workers WHERE expires_at < (SELECT now_us FROM database_clock) - 3600000000";

pub(crate) const LIVE_WORKERS: &str = "
    SELECT id, roles, since FROM workers, database_clock
    WHERE expires_at > now_us ORDER BY since, id";
