-- Drops the indexes and constraints of the index's tables. A script that includes this file adds them again after its
-- rows: `select addition from definitions order by position \gexec`. Rows arrive in random order, and several times as
-- slowly into an index.
create temporary table definitions as
with filled as (
  select unnest(array['all_repositories', 'all_manifests', 'tags', 'manifest_references']::regclass[]) as filled
)
select case contype when 'f' then 2 else 1 end as position,
  format('alter table %s add constraint %I %s', filled, conname, pg_get_constraintdef(oid)) as addition,
  format('alter table %s drop constraint %I', filled, conname) as removal
from filled join pg_constraint on conrelid = filled where contype in ('p', 'u', 'f')
union all
select 0, pg_get_indexdef(indexrelid), format('drop index %s', indexrelid::regclass)
from filled join pg_index on indrelid = filled
where not exists (select from pg_constraint where conindid = indexrelid);
select removal from definitions order by position desc \gexec
