-- Replaces the events: `psql -v events=1000000 -f event-rows.sql DATABASE_URL`. They are of 300 days, so none is old
-- enough to be deleted, and in the order of time. The registry token `ci-0` makes 40 % of them; 5 000 accounts and
-- 10 000 repositories share the rest. One event in 20 is a refused sign-in, one in 50 is about a user.
\set ON_ERROR_STOP on
set synchronous_commit = off;

truncate events;

insert into events (time, action, outcome, principal_kind, principal_id, principal_name, address, request_id, target,
  repository, account_id, account_name, detail)
select
  now() - interval '300 days' * (1 - n::float8 / :events),
  action,
  case action when 'sign-in' then 'refused' else 'done' end,
  case action when 'sign-in' then 'anonymous' else 'registry-token' end,
  case when action <> 'sign-in' then md5('account' || principal)::uuid::text end,
  case when action <> 'sign-in' then 'ci-' || principal end,
  format('10.%s.%s.%s', n % 7, n % 251, n % 241),
  md5('request' || n)::uuid::text,
  case when about_account then jsonb_build_object('kind', 'user', 'name', 'ci-' || subject, 'account', 'ci-' || subject)
    else jsonb_build_object('kind', 'tag', 'name', 'team/app-' || subject || ':' || n, 'repository',
      'team/app-' || subject, 'tag', n::text, 'digest', 'sha256:' || encode(sha256(n::text::bytea), 'hex')) end,
  case when not about_account then 'team/app-' || subject end,
  case when about_account then md5('account' || subject)::uuid::text end,
  case when about_account then 'ci-' || subject end,
  case when about_account then '{"namespaces": {"from": ["team"], "to": ["team", "other"]}}'::jsonb
    else jsonb_build_object('digest', 'sha256:' || encode(sha256(n::text::bytea), 'hex'), 'size', n % 5000,
      'mediaType', 'application/vnd.oci.image.manifest.v1+json') end
from (
  select n, case when n % 5 < 2 then 0 else n * 7919 % 5000 end as principal,
    case when n % 20 = 0 or n % 50 = 1 then n * 104729 % 5000 when n % 3 = 0 then 0 else n * 104729 % 10000 end as subject,
    n % 20 = 0 or n % 50 = 1 as about_account,
    case when n % 20 = 0 then 'sign-in' when n % 50 = 1 then 'user.update' when n % 100000 = 7 then 'repository.scope'
      when n % 4 = 3 then 'tag.delete' else 'push' end as action
  from generate_series(1::bigint, :events) n
) generated
order by n;

vacuum analyze events;
checkpoint;
