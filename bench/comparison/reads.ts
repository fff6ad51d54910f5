import { load } from '../clients.ts'
import type { Case, Outcome } from './case.ts'
import type { Content } from './content.ts'
import { MANIFEST_TYPE, TAG } from './content.ts'
import type { Side } from './side.ts'
import { REPOSITORY } from './side.ts'
import { runWrk } from './wrk.ts'

const [CONNECTIONS, SECONDS, WARM_UP_SECONDS, ROUNDS] = [32, 2, 1, 5]
const TOKENS = 1000
const SCOPE = `repository:${REPOSITORY}:pull`
const ACCEPT = { accept: MANIFEST_TYPE }
const ONE_TOKEN = { volume: 30, cache: 25 }
const MANY_TOKENS = { volume: 12, cache: 12 }
const BY_TAG = { volume: 3, cache: 3 }

interface Read {
  readonly kind: 'blobs' | 'manifests'
  readonly reference: string
  /** Length of the body. */
  readonly bytes: number
  readonly tokens: number
}

/** The cases of small responses. `folder` is for files of the clients. */
export function readCases({ config, manifest }: Content, folder: string): readonly Case[] {
  const blob: Read = { kind: 'blobs', reference: config.digest, bytes: config.size, tokens: 1 }
  const byDigest: Read = { kind: 'manifests', reference: manifest.digest, bytes: manifest.size, tokens: 1 }
  const byTag: Read = { ...byDigest, reference: TAG }
  const toCase = (name: string, goals: Case['goals'], read: Read, isFor: Case['isFor']): Case => ({
    name: `${name}, ${CONNECTIONS} connections`,
    goals,
    unit: 'requests',
    rounds: ROUNDS,
    isFor,
    warmUp: async (side) => {
      await checkResponse(side, read)
      await runGet(side, read, folder, WARM_UP_SECONDS)
    },
    run: (side) => runGet(side, read, folder, SECONDS),
  })
  const isRegistry = (side: Side) => side.isRegistry
  const many = { tokens: TOKENS }
  return [
    toCase('config blob by digest, one token', ONE_TOKEN, blob, () => true),
    toCase('manifest by digest, one token', ONE_TOKEN, byDigest, isRegistry),
    toCase('config blob by digest, 1,000 tokens in rotation', MANY_TOKENS, { ...blob, ...many }, isRegistry),
    toCase('manifest by digest, 1,000 tokens in rotation', MANY_TOKENS, { ...byDigest, ...many }, isRegistry),
    toCase('manifest by tag, GET', BY_TAG, byTag, isRegistry),
    {
      ...toCase('manifest by tag, HEAD', BY_TAG, byTag, isRegistry),
      run: (side) => runHead(side, byTag),
    },
  ]
}

async function runGet(side: Side, read: Read, folder: string, seconds: number): Promise<Outcome> {
  const authorizations = await side.authorizations(SCOPE, read.tokens)
  const path = side.pathOf(read.kind, read.reference)
  const requests = authorizations.map((authorization) => ({ path, headers: { ...ACCEPT, authorization } }))
  const job = { origin: side.origin, requests, connections: CONNECTIONS, folder }
  return runWrk({ ...job, bodyBytes: read.bytes, seconds })
}

/** wrk waits for the body of a response to HEAD, so this is a client of ours. */
async function runHead(side: Side, { kind, reference }: Read): Promise<Outcome> {
  const [authorization = ''] = await side.authorizations(SCOPE, 1)
  const headers = { ...ACCEPT, authorization }
  const request = { method: 'HEAD', path: side.pathOf(kind, reference), headers } as const
  const lanes = Array.from({ length: CONNECTIONS }, () => [request])
  const { requests, seconds, errors, firstError } = await load({
    origin: side.origin,
    lanes,
    seconds: SECONDS,
  })
  return { rate: requests / seconds, failed: errors, fault: firstError }
}

/** Throws if a side does not respond with the content. */
async function checkResponse(side: Side, { kind, reference, bytes }: Read): Promise<void> {
  const [authorization = ''] = await side.authorizations(SCOPE, 1)
  const url = side.origin + side.pathOf(kind, reference)
  const response = await fetch(url, { headers: { ...ACCEPT, authorization }, redirect: 'manual' })
  const body = await response.bytes()
  if (response.status !== 200 || body.length !== bytes)
    throw new Error(`${side.name}: GET ${url}: status ${response.status} with ${body.length} bytes`)
}
