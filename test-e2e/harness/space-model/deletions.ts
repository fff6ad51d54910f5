import type { Actor } from './actor.ts'
import type { Holding, Tombstone } from './holding.ts'
import { clear, contentsOf, isListed, removeImage } from './holding.ts'

const REPOSITORIES = '/image-manager/api/v1/repositories'

/** The steps of a client that delete. */
export function createDeletions(actor: Actor) {
  const { client, random, kills, own, choose, tombstones, checkUnreadable } = actor

  /** Sends a deletion, and remembers what a restore must bring back. */
  const bury = async (
    holding: Holding,
    deleted: Pick<Tombstone, 'digest' | 'images' | 'tags'>,
    send: () => Promise<{ readonly status: number; readonly body: Buffer }>,
  ) => {
    const [before, begunAt] = [kills(), new Date()]
    const { status, body } = await send()
    const isCalm = kills() === before
    if (status === 404 && isCalm)
      throw new Error(`${holding.name} ${deleted.digest ?? ''} is missing: ${body}`)
    const times = { begunAt, endedAt: new Date() }
    tombstones.push({ repository: holding.name, ...deleted, ...times, isCalm, isOver: false })
    return isCalm
  }

  const deleteImage = async () => {
    const holding = choose()
    const { name, images, tags } = holding
    const digest = random.pick([...images.keys()])
    if (digest === undefined) return
    const target = `/v2/${name}/manifests/${digest}`
    if (isListed(holding, digest)) {
      await client.expect([409], 'DELETE', target)
      return
    }
    const contents = contentsOf(holding, digest)
    const ofImage = new Map([...tags].filter(([, named]) => named === digest))
    const deleted = { digest, images: contents, tags: ofImage }
    const isCalm = await bury(holding, deleted, () => client.expect([202, 404], 'DELETE', target))
    const made = images.get(digest)
    removeImage(holding, digest)
    // After a kill, another process may have to finish the deletion of the blobs.
    if (isCalm && made !== undefined) await checkUnreadable(holding, [made])
  }

  const deleteTag = async () => {
    const { name, tags } = choose()
    const tag = random.pick([...tags.keys()])
    if (tag === undefined) return
    const before = kills()
    const { status } = await client.expect([202, 404], 'DELETE', `/v2/${name}/manifests/${tag}`)
    if (status === 404 && kills() === before) throw new Error(`the tag ${tag} of ${name} is missing`)
    tags.delete(tag)
    await client.expect([404], 'GET', `/v2/${name}/manifests/${tag}`)
  }

  const deleteRepository = async () => {
    const holding = choose(own)
    const [images, tags] = [new Map(holding.images), new Map(holding.tags)]
    const target = `${REPOSITORIES}/${holding.name}`
    if (images.size === 0) {
      await client.expect([200, 404], 'DELETE', target)
      clear(holding)
      return
    }
    const deleted = { digest: null, images, tags }
    const isCalm = await bury(holding, deleted, () => client.expect([200, 404], 'DELETE', target))
    clear(holding)
    if (isCalm) await checkUnreadable(holding, images.values())
  }

  return { deleteImage, deleteTag, deleteRepository }
}
