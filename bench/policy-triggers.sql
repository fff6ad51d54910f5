-- Turns the triggers of quotas and of the history of tags on or off:
-- `psql -v state=enable -f policy-triggers.sql DATABASE_URL`.
\set ON_ERROR_STOP on

alter table all_repositories :state trigger charge_repositories, :state trigger empty_repository,
  :state trigger discharge_repositories;
alter table all_manifests :state trigger charge_all_manifests, :state trigger discharge_all_manifests,
  :state trigger resize_all_manifests;
alter table manifest_references :state trigger charge_manifest_references,
  :state trigger discharge_manifest_references, :state trigger resize_manifest_references;
alter table tags :state trigger record_tag_history, :state trigger record_tag_move;
