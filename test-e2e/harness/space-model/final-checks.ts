import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '@registry-manager/testing/until'
import type { Made } from '../manifests.ts'
import { digestOf } from '../manifests.ts'
import type { System } from '../system.ts'
import type { Actor } from './actor.ts'
import { closureOf } from './holding.ts'
import type { Entry } from './restores.ts'
import { findTombstone } from './restores.ts'
import type { Retention } from './retention.ts'
import { endTrashClaims } from './storage.ts'

export interface Client {
  readonly actor: Actor
  readonly retention: Retention
}

const API = '/image-manager/api/v1'
const tagsPath = (name: string) => `${API}/tags?repository=${encodeURIComponent(name)}`
const manifestsPath = (name: string) => `${API}/manifests?repository=${encodeURIComponent(name)}`

interface Tag {
  readonly name: string
  readonly digest: string
  readonly pushedAt: string
}

/** All entries of the trash of some namespaces. */
async function listTrash(actor: Actor, namespaces: readonly string[]): Promise<readonly [string, Entry][]> {
  const lists = namespaces.map(async (namespace) => {
    const path = `/namespaces/${namespace}/trash`
    const entries = await actor.client.list<Entry>(path, 200)
    return entries.map((entry): [string, Entry] => [`${path}/${entry.id}`, entry])
  })
  return (await Promise.all(lists)).flat()
}

/** Every deletion has an entry in the trash, unless it was restored, purged, or has expired. */
export async function checkTrashIsComplete(clients: readonly Client[], system: System, days: number) {
  await endTrashClaims(system)
  for (const { actor } of clients) {
    const missing = async () => {
      const entries = await listTrash(actor, [actor.namespace, 'common'])
      const found = new Set(entries.map(([, entry]) => findTombstone(actor.tombstones, entry)))
      const alive = Date.now() - days * 86_400_000
      return actor.tombstones.filter(
        (one) => !one.isOver && !found.has(one) && one.isCalm && one.endedAt.getTime() - 5000 > alive,
      )
    }
    const lost = await missing()
    if (lost.length > 0)
      throw new Error(
        `not in the trash: ${lost.map((one) => `${one.repository}@${one.digest} ${one.endedAt.toISOString()}`).join(', ')}`,
      )
  }
}

/** Each repository has exactly the tags and manifests of its model, with every byte, and nothing else is readable. */
export async function checkContents(clients: readonly Client[]) {
  const expected = new Map<string, { tags: Map<string, string>; images: Map<string, Made>; actor: Actor }>()
  for (const { actor } of clients)
    for (const { name, tags, images } of [...actor.own, actor.common]) {
      const { tags: otherTags = [], images: otherImages = [] } = expected.get(name) ?? {}
      const all = { tags: new Map([...otherTags, ...tags]), images: new Map([...otherImages, ...images]) }
      expected.set(name, { ...all, actor })
    }
  for (const [name, { tags, images, actor }] of expected) {
    const { client } = actor
    for (const made of images.values()) await actor.pull(name, made)
    const listed = await client.list<Tag>(tagsPath(name), 1000)
    same(`tags of ${name}`, new Map(listed.map((tag) => [tag.name, tag.digest])), tags)
    for (const [tag, digest] of tags) await actor.pull(name, images.get(digest) as Made, tag)
    const manifests = await client.list<{ digest: string }>(manifestsPath(name), 1000)
    const keys = (all: Iterable<string>) => new Map([...all].map((one) => [one, '']))
    same(`manifests of ${name}`, keys(manifests.map(({ digest }) => digest)), keys(images.keys()))
  }
}

/** Waits until nothing that was deleted is readable: killed processes may have left work to others. */
export async function checkUnreadable(clients: readonly Client[]) {
  for (const { actor } of clients)
    for (const holding of actor.own) {
      let reason = ''
      const isUnreadable = () =>
        actor.checkUnreadable(holding, actor.known.values()).then(
          () => true,
          async (error: Error) => {
            reason = error.message
            await sleep(1000)
            return false
          },
        )
      await until(isUnreadable, '', 120).catch(() => {
        throw new Error(reason)
      })
    }
}

/** Waits until retention has deleted what its rules do not keep. */
export async function checkRetention({ actor, retention }: Client): Promise<readonly Made[]> {
  const { client, known } = actor
  const { name } = retention
  let left: string[] = []
  const isDone = async () => {
    const tags = await client.list<Tag>(tagsPath(name), 1000)
    const needed = new Set(tags.flatMap(({ digest }) => neededBy(known, digest)))
    left = (await client.list<{ digest: string }>(manifestsPath(name), 1000)).map(({ digest }) => digest)
    await sleep(200)
    return tags.length <= 2 && left.every((digest) => needed.has(digest) || isSignature(known, digest))
  }
  // The lease of a killed process lasts a minute, and another process looks for it every minute.
  await until(isDone, `retention ends in ${name}`, 180)
  await retention.check()
  await retention.compareDryRun()
  const all = left.map((digest) => known.get(digest) as Made)
  for (const made of all) await actor.pull(name, made)
  return all
}

const neededBy = (known: ReadonlyMap<string, Made>, digest: string) =>
  closureOf(known.get(digest) as Made).map((one) => one.descriptor.digest)
/** A signature stays while its subject exists. */
const isSignature = (known: ReadonlyMap<string, Made>, digest: string) =>
  known.get(digest)?.bytes.includes('"subject"') === true

/** A dry run names exactly the tags that the next run deletes. The rules keep the last tag of each repository. */
export async function checkDryRun({ actor, retention }: Client) {
  const rules = [{ name: 'last', repositories: `${actor.namespace}/*`, tags: '*', keep: { last: 1 } }]
  const before = new Map<string, readonly Tag[]>()
  for (const { name } of actor.own) before.set(name, await actor.client.list<Tag>(tagsPath(name), 1000))
  const items = await retention.dryRun(rules)
  for (const [name, tags] of before) {
    const last = tags.toSorted(
      (one, other) => other.pushedAt.localeCompare(one.pushedAt) || one.name.localeCompare(other.name),
    )[0]
    const planned = items.filter((one) => one.repository === name)
    const outcomes = new Map(planned.map((one) => [one.tag ?? '', one.outcome]))
    same(
      `dry run of ${name}`,
      outcomes,
      new Map(tags.map((tag) => [tag.name, tag === last ? 'kept' : 'deleted'])),
    )
  }
  await actor.client.json([200], 'PUT', retention.path, { rules })
  const isDone = async () => {
    for (const holding of actor.own) {
      const tags = new Set(
        (await actor.client.list<Tag>(tagsPath(holding.name), 1000)).map(({ name }) => name),
      )
      if (tags.size > 1) return false
      for (const tag of holding.tags.keys()) if (!tags.has(tag)) holding.tags.delete(tag)
      if (tags.size !== holding.tags.size) throw new Error(`${holding.name} lost the tag that is kept`)
      for (const [tag, digest] of holding.tags)
        await actor.pull(holding.name, holding.images.get(digest) as Made, tag)
    }
    return true
  }
  await until(async () => (await isDone()) || sleep(200, false), 'retention does what the dry run says', 180)
}

/** Purges all that lies in the trash, also what comes there late. */
export async function purgeAll(clients: readonly Client[], system: System) {
  await endTrashClaims(system)
  const namespaces = ['common', ...clients.map(({ actor }) => actor.namespace)]
  const [{ actor }] = clients as [Client]
  for (const [path] of await listTrash(actor, namespaces))
    await actor.client.expect([204, 404], 'DELETE', path)
}

/** The sizes of everything that the clients can reach, by digest. */
export async function listReachable(clients: readonly Client[]): Promise<ReadonlyMap<string, number>> {
  const reachable = new Map<string, number>()
  const add = (made: Made) => {
    for (const bytes of [made.bytes, ...made.blobs]) reachable.set(digestOf(bytes), bytes.length)
  }
  for (const { actor, retention } of clients) {
    for (const { images } of [...actor.own, actor.common]) for (const made of images.values()) add(made)
    const kept = await actor.client.list<{ digest: string }>(manifestsPath(retention.name), 1000)
    for (const { digest } of kept) add(actor.known.get(digest) as Made)
  }
  return reachable
}

function same(what: string, found: ReadonlyMap<string, string>, wanted: ReadonlyMap<string, string>) {
  const text = (map: ReadonlyMap<string, string>) => JSON.stringify([...map].toSorted())
  if (text(found) !== text(wanted)) throw new Error(`${what}: ${text(found)}, not ${text(wanted)}`)
}
