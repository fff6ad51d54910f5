import { isRepositoryName } from '@registry-manager/oci'

/**
 * The end of a page of a dry run: after a repository, after one of its tags, or after one of its manifests without a
 * tag. The empty digest is before all manifests. A repository's tags come before its manifests.
 */
export interface DryRunPosition {
  readonly repository: string
  readonly tag?: string
  readonly digest?: string
}

/** The strings that `parseDryRunPosition` accepts, as a pattern for JSON schemas. */
export const DRY_RUN_POSITION_PATTERN = '^[a-z0-9._/-]{1,255}(?::[A-Za-z0-9_.-]{1,128}|@[a-z0-9:]{0,135})?$'

/** Writes a position as a string: `team/app`, `team/app:v1` or `team/app@sha256:…`. */
export function formatDryRunPosition({ repository, tag, digest }: DryRunPosition): string {
  if (tag !== undefined) return `${repository}:${tag}`
  return digest === undefined ? repository : `${repository}@${digest}`
}

/** Undefined for a string that is no position. */
export function parseDryRunPosition(text: string): DryRunPosition | undefined {
  const [, repository = '', mark, rest = ''] = /^([^:@]+)(?:([:@])(.*))?$/.exec(text) ?? []
  if (!isRepositoryName(repository)) return undefined
  if (mark === undefined) return { repository }
  return mark === ':' ? { repository, tag: rest } : { repository, digest: rest }
}
