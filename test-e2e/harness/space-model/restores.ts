import type { Actor } from './actor.ts'
import type { Holding, Tombstone } from './holding.ts'
import { addImage, setTag } from './holding.ts'

/** An entry of the trash, as the API lists it. */
export interface Entry {
  readonly id: string
  readonly kind: 'manifest' | 'repository'
  readonly repository: string
  readonly digest: string | null
  readonly tags: readonly string[]
  readonly deletedAt: string
  readonly expiresAt: string
}

/** The difference between two times that requests and the database measure. */
const TOLERANCE_MS = 2000

export function isOver({ expiresAt }: Entry): boolean {
  return Date.parse(expiresAt) < Date.now() + TOLERANCE_MS
}

/** The deletion that an entry is of. */
export function findTombstone(tombstones: readonly Tombstone[], entry: Entry): Tombstone | undefined {
  const { repository, digest, deletedAt } = entry
  const at = Date.parse(deletedAt)
  const same = tombstones.filter((one) => one.repository === repository && one.digest === digest)
  return same.findLast(({ begunAt }) => begunAt.getTime() <= at)
}

/** The steps of a client that restore and purge. */
export function createRestores(actor: Actor) {
  const { client, namespace, random, kills, own, common, known, tombstones, choose, pull, readWhole } = actor
  const holdings = [...own, common]

  /** A random entry of this client. */
  const pickEntry = async (): Promise<{ entry: Entry; holding: Holding; path: string } | undefined> => {
    const scope = random.below(3) === 0 ? 'common' : namespace
    const entries = await client.list<Entry>(`/namespaces/${scope}/trash`, 200)
    const mine = entries.filter(({ digest }) => digest === null || known.has(digest))
    const entry = random.pick(mine)
    const holding = holdings.find(({ name }) => name === entry?.repository)
    if (entry === undefined || holding === undefined) return undefined
    return { entry, holding, path: `/namespaces/${scope}/trash/${entry.id}` }
  }

  const restore = async () => {
    const picked = await pickEntry()
    if (picked === undefined) return
    const { entry, holding, path } = picked
    const before = kills()
    const response = await client.expect([200, 404], 'POST', `${path}/restore`)
    const isCalm = kills() === before
    const tombstone = findTombstone(tombstones, entry)
    const made = known.get(entry.digest ?? '')
    // The entries of a deletion that was repeated after a kill share one tombstone.
    const images = new Map(tombstone?.images)
    if (made !== undefined) addImage({ images }, made)
    if (!isCalm) actor.notePending(holding.name, images.values())
    // A restore may have been interrupted until the entry expired. Then some of the content and tags came back.
    const isPartial = response.status === 404 && isOver(entry)
    if (response.status === 404) {
      if (isCalm && !isOver(entry)) throw new Error(`${path} is missing before its expiry: ${response.body}`)
      // Either it had expired, or a killed process had restored it.
      const [first] = images.values()
      const isThere = first !== undefined && (await readWhole(holding.name, first))
      if (!isThere || (isPartial && holding.images.has(first.descriptor.digest))) return
    } else if (response.json.missing.length > 0) throw new Error(`${path}: ${response.body}`)
    if (tombstone !== undefined) tombstone.isOver = true

    // The entry of an interrupted deletion may have been filled before or after some of the content changed.
    const isExact =
      !isPartial &&
      tombstone?.isCalm === true &&
      Date.parse(entry.deletedAt) <= tombstone.endedAt.getTime() + TOLERANCE_MS
    for (const [digest, image] of images) {
      if (!isExact && digest !== entry.digest && !(await readWhole(holding.name, image))) continue
      await pull(holding.name, image)
      holding.images.set(digest, image)
    }
    await restoreTags(holding, entry, { tombstone, isPartial })
  }

  /** A tag comes back unless another manifest has it by now. */
  const restoreTags = async (
    holding: Holding,
    { digest, tags: listed }: Entry,
    { tombstone, isPartial }: { tombstone: Tombstone | undefined; isPartial: boolean },
  ) => {
    const tags = digest === null ? [...(tombstone?.tags ?? [])] : listed.map((tag) => [tag, digest] as const)
    for (const [tag, named] of tags) {
      const current = holding.tags.get(tag)
      const image = holding.images.get(current ?? named)
      if (
        isPartial &&
        current === undefined &&
        (image === undefined || !(await readWhole(holding.name, image, tag)))
      )
        continue
      if (image === undefined) throw new Error(`${holding.name}:${tag} names an unknown manifest`)
      await pull(holding.name, image, tag)
      if (current === undefined) setTag(holding, tag, named)
    }
  }

  const purge = async () => {
    const picked = await pickEntry()
    if (picked === undefined) return
    const { entry, path } = picked
    const before = kills()
    const { status, body } = await client.expect([204, 404], 'DELETE', path)
    if (status === 404 && kills() === before && !isOver(entry)) throw new Error(`${path} is missing: ${body}`)
    const tombstone = findTombstone(tombstones, entry)
    if (tombstone !== undefined) tombstone.isOver = true
    await client.expect([404], 'POST', `${path}/restore`)
  }

  /** Sets a tag to a manifest of its history, also after the tag was deleted. */
  const restoreTag = async () => {
    const holding = choose()
    const { name, periods, images } = holding
    const [tag, ofTag = []] = random.pick([...periods]) ?? []
    const period = random.pick(ofTag)
    if (tag === undefined || period === undefined) return
    const { digest, at } = period
    const path = `/image-manager/api/v1/repositories/${encodeURIComponent(name)}/tags/${tag}/restore`
    const body = random.below(2) === 0 ? { digest } : { at: at.toISOString() }
    const image = images.get(digest)
    await client.json([image === undefined ? 409 : 200], 'POST', path, body)
    if (image === undefined) return
    setTag(holding, tag, digest)
    await pull(name, image, tag)
  }

  return { restore, purge, restoreTag }
}
