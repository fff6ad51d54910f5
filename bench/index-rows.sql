-- Replaces the contents of the index:
-- `psql -v repositories=100000 -v manifests=5 -v patches=2 -f index-rows.sql DATABASE_URL`.
-- Each repository gets that many manifests of about 1 KB, a realistic size, and one or two tags for each of them. Its
-- last manifest is a referrer of its first one. The namespace `large` has 1 000 repositories, and 1 980 other
-- namespaces share the rest. One repository in 200 is global.
\set ON_ERROR_STOP on
-- The rows are consistent, so foreign keys need no check.
set session_replication_role = replica;
set synchronous_commit = off;
set client_min_messages = warning;
set maintenance_work_mem = '1GB';
set work_mem = '256MB';

truncate all_repositories, all_manifests, tags, manifest_references;

\ir drop-indexes.sql

-- In random order of names, as repositories are created over years.
insert into repositories (name, scope)
select
  case when r <= 1000 then 'large' else format('team-%s', lpad((r % 1980)::text, 4, '0')) end
    || case r % 3 when 0 then '/services' else '' end || format('/app-%s', r),
  case r % 200 when 0 then 'global' else 'namespace' end
from generate_series(1, :repositories) r
order by md5(r::text);

-- In rounds, so that the rows of one repository are far apart on disk. psql has no variables inside of a block.
select set_config('bench.manifests', :'manifests', false), set_config('bench.patches', :'patches', false);
do $$
declare
  manifests integer := current_setting('bench.manifests');
  patches text[] := (array['', '.0'])[:current_setting('bench.patches')::integer];
begin
  for round in 1..manifests loop
    with pushed as (
      select id, subject, convert_to(format(
        '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":'
        '"application/vnd.oci.image.config.v1+json","digest":"sha256:%s","size":7023},"layers":[%s]%s}',
        encode(sha256(format('%s %s', repositories.name, round)::bytea), 'hex'),
        (
          select string_agg(format(
            '{"mediaType":"application/vnd.oci.image.layer.v1.tar+gzip","digest":"sha256:%s","size":%s}',
            encode(sha256(format('%s %s %s', repositories.name, round, layer)::bytea), 'hex'), layer * 1234567), ',')
          from generate_series(1, 5) layer
        ),
        case when subject is not null then format(
          ',"subject":{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"%s","size":1080}', subject
        ) end), 'UTF8') raw
      from repositories left join (
        select repository_id, digest as subject from tags where round = manifests and tags.name = '1.1'
      ) first on repository_id = id
    ), kept as (
      insert into manifests (repository_id, digest, media_type, subject, raw, size)
      select id, 'sha256:' || encode(sha256(raw), 'hex'), 'application/vnd.oci.image.manifest.v1+json', subject, raw,
        length(raw)
      from pushed
      returning repository_id, digest
    ), tagged as (
      insert into tags (repository_id, name, digest)
      select repository_id, format('1.%s%s', round, patch), digest from kept, unnest(patches) patch
    )
    -- Only a few, because no list reads them.
    insert into manifest_references (repository_id, manifest_digest, digest, kind, size)
    select repository_id, digest, 'sha256:' || encode(sha256((digest || kind)::bytea), 'hex'), kind, 1000
    from kept, unnest(array['config', 'layer']) kind
    where round = 1;
  end loop;
end $$;

select addition from definitions order by position \gexec
vacuum (freeze, analyze) all_repositories, all_manifests, tags, manifest_references;
checkpoint;
