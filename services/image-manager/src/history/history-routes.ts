import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { RequestPrincipal } from '@registry-manager/http'
import { ProblemError, badField, unavailable } from '@registry-manager/http'
import type { ManagementApiOptions } from '../management-api/management-api.ts'
import { managementApi } from '../management-api/management-api.ts'
import { mayPushTag } from '../management-api/authorize.ts'
import type { Repository } from '../index/repository.ts'
import { rightsOf } from '../management-api/require-principal.ts'
import { requireReadable } from '../management-api/require-readable.ts'
import { HISTORY_SCHEMAS as SCHEMAS } from './history-schemas.ts'
import type { RestoreOutcome, RestoreTarget } from './restore-tag.ts'
import type { HistoryPage, TagPeriod } from './tag-history.ts'

export interface HistoryRoutesOptions extends ManagementApiOptions {
  readonly findRepository: (name: string) => Promise<Repository | undefined>
  readonly listTagHistory: (
    repositoryId: string,
    tag: string,
    page: HistoryPage,
  ) => Promise<{ readonly items: readonly TagPeriod[]; readonly next: string | null }>
  readonly restoreTag: (repository: Repository, tag: string, target: RestoreTarget) => Promise<RestoreOutcome>
}

const TAG = '/image-manager/api/v1/repositories/:repository/tags/:tag'
const DEFAULT_PAGE = 50

/** The history of tags. A slash in the name of the repository is percent-encoded. */
export const historyRoutes: FastifyPluginAsyncTypebox<HistoryRoutesOptions> = async (app, options) => {
  const { findRepository, listTagHistory, restoreTag } = options
  await managementApi(app, options)

  app.get(`${TAG}/history`, { schema: SCHEMAS.history }, async (request) => {
    const { params, query } = request
    const { repository: name, tag } = params
    const repository = await requireReadable(findRepository, request, name)
    const { limit = DEFAULT_PAGE, after } = query
    const { items, next } = await listTagHistory(repository.id, tag, { limit, before: after })
    if (items.length === 0 && after === undefined) throw noTag(name, tag)
    const showsNames = mayPushTag(rightsOf(request), name, tag) === 'allowed'
    return { items: items.map((period) => toBody(period, showsNames)), next }
  })

  app.post(`${TAG}/restore`, { schema: SCHEMAS.restore }, async (request) => {
    const { repository: name, tag } = request.params
    const repository = await requireReadable(findRepository, request, name)
    const verdict = mayPushTag(rightsOf(request), name, tag)
    if (verdict !== 'allowed') throw new ProblemError({ status: 403, detail: MISSING[verdict](name, tag) })
    const restored = await restoreTag(repository, tag, targetOf(request.body))
    switch (restored.outcome) {
      case 'restored':
        return { tag, digest: restored.digest }
      case 'unknown':
        throw noTag(name, tag, request.body)
      case 'gone': {
        const missing = `the manifest ${restored.digest}, or content that it references`
        const detail = `${missing}, is no longer in ${name}; push it again`
        throw new ProblemError({ status: 409, detail })
      }
      case 'denied':
        throw new ProblemError({ status: 403, detail: restored.reason })
      case 'busy':
        throw unavailable(`${restored.reason}; retry shortly`, 2)
    }
  })
}

const MISSING = {
  forbidden: (name: string, tag: string) => `this account may not push the tag ${tag} to ${name}`,
  insufficient: () => 'restoring a tag needs a password, or an identity token (requested without a scope)',
}

function targetOf({ at, digest }: { readonly at?: string; readonly digest?: string }): RestoreTarget {
  if (at !== undefined && digest === undefined) {
    const time = new Date(at)
    if (!Number.isNaN(time.getTime())) return { at: time }
    throw badField({ field: 'at', detail: 'must be a time such as 2027-06-30T00:00:00Z' })
  }
  if (digest !== undefined && at === undefined) return { digest }
  throw new ProblemError({
    status: 400,
    detail: 'the body must have exactly one of the fields at and digest',
    field: 'digest',
  })
}

function noTag(
  repository: string,
  tag: string,
  { at, digest }: { readonly at?: string; readonly digest?: string } = {},
): ProblemError {
  const asked = at === undefined ? digest && `digest ${digest}` : `time ${at}`
  const entry = asked === undefined ? 'no entry' : `no entry for the ${asked}`
  const detail = `the history of the tag ${tag} in ${repository} has ${entry}`
  return new ProblemError({ status: 404, detail })
}

function toBody(period: TagPeriod, showsNames: boolean) {
  const { digest, previous, startedAt, startedBy, endedAt, endedBy, exists } = period
  const by = (principal: RequestPrincipal | null) =>
    principal === null || !showsNames ? null : { kind: principal.kind, name: principal.name }
  return {
    digest,
    previous,
    startedAt,
    startedBy: by(startedBy),
    endedAt,
    endedBy: by(endedBy),
    restorable: exists,
  }
}
