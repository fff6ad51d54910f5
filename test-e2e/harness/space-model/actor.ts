import { setTimeout as sleep } from 'node:timers/promises'
import type { Content, Made } from '../manifests.ts'
import { EMPTY, MEDIA_TYPES, digestOf, makeImage, makeIndex, randomLayer } from '../manifests.ts'
import type { RegistryResponse } from '../registry-client.ts'
import type { Holding, Tombstone } from './holding.ts'
import { addImage, blobsOf, closureOf, createHolding, setTag } from './holding.ts'
import type { PatientClient } from './patient-client.ts'
import type { Random } from '@registry-manager/testing/random'

/** Clients share layers, so that their pushes, mounts and deletions meet at the same blobs. */
const LAYERS: readonly Content[] = Array.from({ length: 10 }, () => randomLayer(2000))
/** The repository that all clients share. Nobody deletes it. */
export const COMMON = 'common/all'
const PUSH_TRIES = 20
/**
 * A deletion whose process was killed refuses pushes of its blobs for three minutes at most. So after a kill, a push is
 * repeated for more than four minutes.
 */
const [TRIES_AFTER_KILL, PAUSE_MS] = [280, 1000]
/** A push that a kill interrupts stays pending for so long at most. Its blobs are readable until then. */
const PENDING_MS = 5 * 60_000

export interface ActorOptions {
  readonly client: PatientClient
  readonly namespace: string
  readonly random: Random
  /** The repositories of all clients, as sources of mounts. */
  readonly sources: readonly string[]
  /** Number of processes that were killed so far. */
  readonly kills: () => number
}

export type Actor = ReturnType<typeof createActor>

/** One client with a model of its content. It alone changes its repositories, and its manifests of the shared one. */
export function createActor({ client, namespace, random, sources, kills }: ActorOptions) {
  const own = ['one', 'two'].map((name) => createHolding(`${namespace}/${name}`))
  const common = createHolding(COMMON)
  /** All manifests that this client has ever pushed. */
  const known = new Map<string, Made>()
  const tombstones: Tombstone[] = []
  /** Until when a blob of a repository may belong to a pending push. */
  const pending = new Map<string, number>()
  // Its configs make the manifests of this client different from those of all others.
  const configs = Array.from({ length: 3 }, (_, at): Content => [
    MEDIA_TYPES.config,
    Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', author: `${namespace} ${at}` })),
  ])
  const choose = (holdings: readonly Holding[] = [...own, common]) => random.pick(holdings) ?? common

  /** A random image, image index, or signature of a manifest that the repository has. */
  const make = ({ images }: Holding): Made => {
    const layers = [random.pick(LAYERS), random.pick(LAYERS)].filter((layer) => layer !== undefined)
    const config = random.pick(configs)
    const image = makeImage({ ...(config && { config }), layers })
    const other = random.pick([...images.values()])
    const kind = random.below(8)
    if (kind === 0)
      return makeIndex([image, ...(other !== undefined && other.children.length === 0 ? [other] : [])])
    if (kind > 2 || other === undefined) return image
    const fields = { artifactType: 'application/vnd.example.signature', subject: other.descriptor }
    return makeImage({ config: EMPTY, layers: layers.slice(0, 1), fields })
  }

  /** Uploads a blob, unless the repository has it or it can be mounted. */
  const bring = async (name: string, blob: Buffer) => {
    const digest = digestOf(blob)
    if ((await client.send('HEAD', `/v2/${name}/blobs/${digest}`)).status === 200) return
    const from = random.pick(sources) ?? name
    const target = `/v2/${name}/blobs/uploads/?mount=${digest}&from=${from}`
    let begun = await client.expect([201, 202], 'POST', target)
    // An upload whose end is repeated may be gone: it begins again.
    while (begun.status === 202) {
      const url = new URL(begun.headers['location'] ?? '', 'http://relative')
      url.searchParams.set('digest', digest)
      const headers = { 'content-type': 'application/octet-stream' }
      const path = `${url.pathname}${url.search}`
      if ((await client.send('PUT', path, { headers, body: blob })).status === 201) return
      begun = await client.expect([202], 'POST', `/v2/${name}/blobs/uploads/`)
    }
  }

  const put = async (name: string, reference: string, made: Made): Promise<RegistryResponse> => {
    for (const blob of made.blobs) await bring(name, blob)
    for (const child of made.children) await put(name, child.descriptor.digest, child)
    const headers = { 'content-type': made.descriptor.mediaType }
    return client.send('PUT', `/v2/${name}/manifests/${reference}`, { headers, body: made.bytes })
  }

  /** Notes the blobs of pushes that may have been interrupted. image-manager also pushes what it restores. */
  const notePending = (name: string, images: Iterable<Made>) => {
    for (const digest of blobsOf(images)) pending.set(`${name}@${digest}`, Date.now() + PENDING_MS)
  }

  /** Pushes a manifest with its content. Repeats a refused push, as people do: a layer may just have been deleted. */
  const pushMade = async (name: string, made: Made, reference = made.descriptor.digest) => {
    for (const one of [made, ...made.children]) known.set(one.descriptor.digest, one)
    const before = kills()
    for (let tries = 1; ; tries += 1) {
      const { status, body } = await put(name, reference, made)
      if (kills() !== before) notePending(name, closureOf(made))
      if (status === 201) return
      const last = kills() === 0 ? PUSH_TRIES : TRIES_AFTER_KILL
      if (tries === last) throw new Error(`push of ${name}:${reference}: ${status} ${body}`)
      if (tries >= PUSH_TRIES) await sleep(PAUSE_MS)
    }
  }

  /** Reads everything of a manifest. Returns false if the repository does not have the manifest. */
  const readWhole = async (
    name: string,
    made: Made,
    reference = made.descriptor.digest,
  ): Promise<boolean> => {
    const target = `/v2/${name}/manifests/${reference}`
    const manifest = await client.expect([200, 404], 'GET', target)
    if (manifest.status === 404) return false
    if (!manifest.body.equals(made.bytes))
      throw new Error(`${target} is another manifest than ${digestOf(made.bytes)}`)
    for (const blob of made.blobs) {
      const digest = digestOf(blob)
      const { status, body } = await client.send('GET', `/v2/${name}/blobs/${digest}`)
      if (status === 200 && body.equals(blob)) continue
      // Retention may have deleted the image in between.
      if ((await client.send('GET', target)).status === 404) return false
      throw new Error(
        `${name}: the blob ${digest} of ${made.descriptor.digest}: ${status} ${body.toString('latin1')}`,
      )
    }
    for (const child of made.children) {
      if (await readWhole(name, child)) continue
      if ((await client.send('GET', target)).status === 404) return false
      throw new Error(
        `${name}: ${child.descriptor.digest} of the image index ${made.descriptor.digest} is missing`,
      )
    }
    return true
  }

  /** Throws unless everything of a manifest is there. */
  const pull = async (name: string, made: Made, reference = made.descriptor.digest) => {
    if (!(await readWhole(name, made, reference)))
      throw new Error(`${name}: ${reference} (${made.descriptor.digest}) is missing`)
  }

  const push = async () => {
    const holding = choose()
    const made = make(holding)
    const reference = random.below(4) === 0 ? made.descriptor.digest : tagOf()
    await pushMade(holding.name, made, reference)
    addImage(holding, made)
    if (reference !== made.descriptor.digest) setTag(holding, reference, made.descriptor.digest)
    await pull(holding.name, made, reference)
  }
  /** In the shared repository, each client has tags of its own. */
  const tagOf = () => `${namespace}-v${random.below(4)}`

  const pullAny = async () => {
    const { name, images, tags } = choose()
    const [tag, named = ''] = random.pick([...tags]) ?? []
    const tagged = images.get(named)
    if (tag !== undefined && tagged !== undefined) await pull(name, tagged, tag)
    const image = random.pick([...images.values()])
    if (image !== undefined) await pull(name, image)
  }

  /** Nothing of deleted manifests is readable, nor mountable, if no other manifest of the repository needs it. */
  const checkUnreadable = async ({ name, images }: Holding, deleted: Iterable<Made>) => {
    const refused = async (method: string, target: string) => {
      const { status } = await client.send(method, target)
      if (status !== 404) throw new Error(`${method} ${target}: ${status}, although it was deleted`)
    }
    const gone = [...deleted].filter(({ descriptor }) => !images.has(descriptor.digest))
    for (const { descriptor } of gone)
      for (const method of ['GET', 'HEAD'])
        await refused(method, `/v2/${name}/manifests/${descriptor.digest}`)
    // Other clients may have the same blobs in the shared repository.
    if (name === COMMON) return
    const needed = blobsOf(images.values())
    for (const digest of blobsOf(gone)) {
      if (needed.has(digest) || (pending.get(`${name}@${digest}`) ?? 0) > Date.now()) continue
      for (const method of ['GET', 'HEAD']) await refused(method, `/v2/${name}/blobs/${digest}`)
      const target = `/v2/${namespace}/mounted/blobs/uploads/?mount=${digest}&from=${name}`
      const mounted = await client.expect([201, 202], 'POST', target)
      if (mounted.status === 201)
        throw new Error(`${digest} was mounted from ${name}, although it was deleted there`)
    }
  }

  return {
    client,
    namespace,
    random,
    kills,
    own,
    common,
    known,
    tombstones,
    choose,
    make,
    pushMade,
    readWhole,
    pull,
    push,
    pullAny,
    checkUnreadable,
    notePending,
  }
}
