-- Replaces the contents of the index: `psql -v manifests=1000000 -f space-rows.sql DATABASE_URL`.
-- The namespace `team` has 100 repositories, and one of them has a tenth of the manifests. Every second manifest has a
-- tag. Each has a config of its own and a layer that it shares with two others. A tenth as many manifests are in the
-- trash. 1 000 other namespaces have an empty repository. The storage was listed once.
\set ON_ERROR_STOP on
-- The rows are consistent, so foreign keys need no check.
set session_replication_role = replica;
set synchronous_commit = off;
set client_min_messages = warning;
set maintenance_work_mem = '1GB';
set work_mem = '256MB';

truncate all_repositories, all_manifests, tags, manifest_references, namespace_usage, collection_listings;
\ir drop-indexes.sql

insert into all_repositories (name)
select format('team/app-%s', lpad(at::text, 3, '0')) from generate_series(0, 99) at
union all select format('registry-manager-trash/%s/team/app', at) from generate_series(0, 9) at
union all select format('team-%s/app', lpad(at::text, 4, '0')) from generate_series(1, 1000) at;

create temporary table images as
select at, id, 'sha256:' || encode(sha256(format('manifest %s', at)::bytea), 'hex') as digest
from generate_series(1, :manifests + :manifests / 10) at
join all_repositories on name = case
  when at > :manifests then format('registry-manager-trash/%s/team/app', at % 10)
  when at <= :manifests / 10 then 'team/app-000'
  else format('team/app-%s', lpad((at % 100)::text, 3, '0'))
end;

insert into all_manifests (repository_id, digest, media_type, raw, size, pushed_at)
select id, digest, 'application/vnd.oci.image.manifest.v1+json', at::text::bytea, 1000,
  now() - make_interval(hours => at % 1000)
from images order by md5(at::text);

insert into tags (repository_id, name, digest, updated_at)
select id, format('build-%s', at), digest, now() - make_interval(hours => at % 1000)
from images where at % 2 = 0 order by md5(at::text);

insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
select id, digest, 'sha256:' || encode(sha256(name::bytea), 'hex'), kind, size
from images cross join lateral (values
  ('config', format('config %s', at), 1000::bigint),
  ('layer', format('layer %s', at % (:manifests / 3)), 10000000::bigint)
) as blob (kind, name, size)
order by md5(at::text);

insert into namespace_usage (namespace, bytes, repositories)
select split_part(name, '/', 1), 1000000, count(*) from all_repositories
where name not like 'registry-manager-trash/%' group by 1;

insert into collection_listings (worker, leased_until, ended_at, stored_blobs, stored_bytes, known_blobs, known_bytes)
select 'bench', now(), now(), count(*), sum(size), count(*), sum(size) from manifest_references;

select addition from definitions order by position \gexec
vacuum (freeze, analyze) all_repositories, all_manifests, tags, manifest_references, namespace_usage;
checkpoint;
