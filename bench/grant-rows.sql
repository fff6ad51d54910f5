-- Adds groups with grants: `psql -v groups=1000 -v grants=10000 -v memberships=10 -f grant-rows.sql DATABASE_URL`.
-- Every group has the same number of grants, on namespaces of `index-rows.sql`. Each user, except administrators, is a
-- member of that many groups.
\set ON_ERROR_STOP on

insert into groups (name) select format('group-%s', n) from generate_series(1, :groups) n;

insert into grants (namespace, group_id, repositories, role)
select team, groups.id, team || '/*', 'developer'
from generate_series(1, :grants) n
cross join lateral (select format('team-%s', lpad((n % 1980)::text, 4, '0')) as team) named
join groups on groups.name = format('group-%s', n % :groups + 1);

insert into group_members (group_id, account_id, source)
select groups.id, accounts.id, 'local'
from accounts
join groups on groups.name in (select format('group-%s', n * 7) from generate_series(1, :memberships) n)
where accounts.kind = 'user' and role <> 'cluster-administrator';

analyze groups, grants, group_members;
