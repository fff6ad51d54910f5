-- Adds revocations: `psql -v revocations=100000 -f revocation-rows.sql DATABASE_URL`. They are of accounts that
-- do not exist, from the last ten minutes.
\set ON_ERROR_STOP on

insert into revocations (account_id, least_generation, revoked_at)
select gen_random_uuid(), 2, now() - interval '10 minutes' * n / :revocations
from generate_series(1, :revocations) n;

analyze revocations;
