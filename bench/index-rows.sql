-- Replaces the contents of the index: `psql -v repositories=100000 -f index-rows.sql DATABASE_URL`.
-- Each repository gets five manifests of about 1 KB, a realistic size, and ten tags. The namespace `large` has 1 000
-- repositories, and 1 980 other namespaces share the rest. One repository in 200 is global.
\set ON_ERROR_STOP on
-- The rows are consistent, so foreign keys need no check.
set session_replication_role = replica;
set synchronous_commit = off;
set client_min_messages = warning;

truncate all_repositories, all_manifests, tags, manifest_references;

-- In random order of names, as repositories are created over years.
insert into repositories (name, scope)
select
  case when r <= 1000 then 'large' else format('team-%s', lpad((r % 1980)::text, 4, '0')) end
    || case r % 3 when 0 then '/services' else '' end || format('/app-%s', r),
  case r % 200 when 0 then 'global' else 'namespace' end
from generate_series(1, :repositories) r
order by md5(r::text);

-- In rounds, so that the rows of one repository are far apart on disk.
do $$
begin
  for round in 1..5 loop
    with pushed as (
      select id, convert_to(format(
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
        '"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":7023},"layers":[%s]}',
        encode(sha256(format('%s %s', name, round)::bytea), 'hex'),
        (
          select string_agg(format(
            '{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}',
            encode(sha256(format('%s %s %s', name, round, layer)::bytea), 'hex'), layer * 1234567), ',')
          from generate_series(1, 5) layer
        )), 'UTF8') raw
      from repositories
    ), kept as (
      insert into manifests (repository_id, digest, media_type, raw)
      select id, 'sha256:' || encode(sha256(raw), 'hex'), 'application/vnd.oci.image.manifest.v1+json', raw
      from pushed
      returning repository_id, digest
    ), tagged as (
      insert into tags (repository_id, name, digest)
      select repository_id, format('1.%s%s', round, patch), digest from kept, unnest(array['', '.0']) patch
    )
    -- Only a few, because no list reads them.
    insert into manifest_references (repository_id, manifest_digest, digest, kind)
    select repository_id, digest, 'sha256:' || encode(sha256((digest || kind)::bytea), 'hex'), kind
    from kept, unnest(array['config', 'layer']) kind
    where round = 1;
  end loop;
end $$;

vacuum analyze all_repositories, all_manifests, tags, manifest_references;
checkpoint;
