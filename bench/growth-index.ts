import { connectPostgres } from '../packages/database/src/connect.ts'
import { MEDIA_TYPES } from '../packages/oci/src/index.ts'
import type { LoadRequest } from './client/load.ts'
import type { IndexContents } from './index-contents.ts'
import { fillIndex } from './index-contents.ts'
import type { ImageReferences, PushTarget } from './push.ts'
import { pushBlobs } from './push.ts'
import type { Stack } from './stack.ts'
import { startStack } from './stack.ts'
import { createUser } from './users.ts'

/** Number of repositories that the reads choose from, in all parts of the index, and of those that get images. */
const [READ, LIVE] = [500, 32]
/** Number of repositories that one token permits. */
const PER_TOKEN = 10
const LIVE_TAG = 'live'
const NAMESPACES = Array.from({ length: 50 }, (_, at) => `team-${String(at * 39).padStart(4, '0')}`)

/** A stack whose index was filled, with the repositories that a measurement reads. */
export interface FilledStack extends Stack {
  readonly contents: IndexContents
  /** Ordered by name, and evenly spaced. */
  readonly repositories: readonly IndexedRepository[]
  /** Repositories with real images, spread over the index. */
  readonly live: readonly Omit<PushTarget, 'authorization'>[]
  /** Authorization header of a user with 50 namespaces. */
  readonly user: string
}

interface IndexedRepository {
  readonly name: string
  /** The digest of a manifest that has a referrer. */
  readonly subject: string
}

/** Starts a stack, fills its index, and pushes images to some of its repositories through the proxy. */
export async function startFilled(contents: IndexContents): Promise<FilledStack> {
  const stack = await startStack()
  await fillIndex(stack, contents)
  const repositories = await chooseRepositories(stack)
  const [first = '', ...others] = Array.from(
    { length: LIVE },
    (_, at) => repositories[Math.floor(((at + 0.5) * repositories.length) / LIVE)]?.name ?? '',
  )
  const references = await pushBlobs(stack, first)
  for (const repository of others) await mountBlobs(stack, first, repository, references)
  const live = [first, ...others].map((repository) => ({ repository, references }))
  for (const { repository } of live) await pushLive(stack, repository, references)
  return { ...stack, contents, repositories, live, user: await createUser(stack, 'far', NAMESPACES) }
}

async function chooseRepositories({ databaseUrl }: Stack): Promise<IndexedRepository[]> {
  const db = connectPostgres(databaseUrl, { statementMs: 0, lockMs: 0 })
  try {
    const names = await db.selectFrom('repositories').select(['id', 'name']).orderBy('name').execute()
    const chosen = names.filter((_, at) => at % Math.ceil(names.length / READ) === 0)
    const manifests = await db
      .selectFrom('manifests')
      .select(['repository_id', 'subject'])
      .where('subject', 'is not', null)
      .where(
        'repository_id',
        'in',
        chosen.map(({ id }) => id),
      )
      .execute()
    const subjects = new Map(manifests.map((row) => [row.repository_id, row.subject ?? '']))
    return chosen.map(({ id, name }) => ({ name, subject: subjects.get(id) ?? '' }))
  } finally {
    await db.destroy()
  }
}

/** Mounts the blobs of one repository into another. Source: OCI distribution-spec 1.1, "Mounting a blob". */
async function mountBlobs(
  { bareUrl }: Stack,
  from: string,
  repository: string,
  { config, layers }: ImageReferences,
): Promise<void> {
  for (const { digest } of [config, ...layers]) {
    const query = new URLSearchParams({ mount: digest, from })
    const url = `${bareUrl}/v2/${repository}/blobs/uploads/?${query}`
    const { status } = await fetch(url, { method: 'POST' })
    if (status !== 201) throw new Error(`POST ${url}: ${status}`)
  }
}

async function pushLive(stack: Stack, repository: string, references: object): Promise<void> {
  const response = await fetch(`${stack.proxyUrl}/v2/${repository}/manifests/${LIVE_TAG}`, {
    method: 'PUT',
    headers: {
      'content-type': MEDIA_TYPES.ociManifest,
      authorization: await stack.bearer(repository, 'pull,push'),
    },
    body: JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociManifest, ...references }),
  })
  if (response.status !== 201) throw new Error(`PUT of an image: ${response.status} ${await response.text()}`)
}

/** The kinds of reads: each returns requests for a list of different repositories or pages, with new tokens. */
export const READS: Readonly<Record<string, (stack: FilledStack) => Promise<LoadRequest[]>>> = {
  'manifest by tag': (stack) =>
    ofRepositories(
      stack,
      stack.live.map(({ repository }) => repository),
      (name) => `/v2/${name}/manifests/${LIVE_TAG}`,
    ),
  'catalog page of 100': (stack) => ofCatalog(stack, stack.basic),
  'catalog page of 100, user of 50 namespaces': (stack) => ofCatalog(stack, stack.user),
  'tag list': (stack) =>
    ofRepositories(
      stack,
      stack.repositories.map(({ name }) => name),
      (name) => `/v2/${name}/tags/list`,
    ),
  referrers: (stack) => {
    const subjects = new Map(stack.repositories.map(({ name, subject }) => [name, subject]))
    return ofRepositories(
      stack,
      stack.repositories.map(({ name }) => name),
      (name) => `/v2/${name}/referrers/${subjects.get(name)}`,
    )
  },
}

async function ofRepositories(
  stack: FilledStack,
  names: readonly string[],
  pathOf: (name: string) => string,
): Promise<LoadRequest[]> {
  const requests: LoadRequest[] = []
  for (let at = 0; at < names.length; at += PER_TOKEN) {
    const some = names.slice(at, at + PER_TOKEN)
    const authorization = await stack.token(
      stack.basic,
      some.map((name) => `repository:${name}:pull`).join(' '),
    )
    for (const name of some) {
      requests.push({ path: pathOf(name), headers: { authorization, accept: MEDIA_TYPES.ociManifest } })
    }
  }
  return requests
}

/** Pages that start after repositories in all parts of the catalog. */
async function ofCatalog(stack: FilledStack, credentials: string): Promise<LoadRequest[]> {
  const headers = { authorization: await stack.token(credentials, 'registry:catalog:*') }
  return stack.repositories.map(({ name }) => ({
    path: `/v2/_catalog?n=100&last=${encodeURIComponent(name)}`,
    headers,
  }))
}

/** The repositories with images, each with a new token for pushes. */
export async function pushTargets(stack: FilledStack): Promise<PushTarget[]> {
  const targets: PushTarget[] = []
  for (const one of stack.live) {
    targets.push({ ...one, authorization: await stack.bearer(one.repository, 'pull,push') })
  }
  return targets
}
