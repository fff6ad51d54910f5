import type { Made } from '../manifests.ts'
import type { Actor } from './actor.ts'
import type { Entry } from './restores.ts'
import { isOver } from './restores.ts'

/** Number of tags that the rules of retention keep. */
const KEPT = 2
/** Manifests without a tag are deleted after four seconds. */
const UNTAGGED_DAYS = 0.000_05

interface DryRunItem {
  readonly repository: string
  readonly tag: string | null
  readonly outcome: string
  readonly reason: string | null
}

/** The steps of a client in a repository where retention deletes by itself. */
export function createRetention(actor: Actor) {
  const { client, namespace, random, kills, known, make, pushMade, readWhole, pull } = actor
  const name = `${namespace}/kept`
  const path = `/namespaces/${namespace}/retention`
  const holding = { name, images: new Map<string, Made>(), tags: new Map(), periods: new Map() }
  /** The tags that retention must keep, the last pushed one at the end. */
  let sure: (readonly [tag: string, made: Made])[] = []
  const setLast = (tag: string, made: Made) => {
    sure = [...sure.filter(([other]) => other !== tag), [tag, made] as const].slice(-KEPT)
  }

  const saveRules = async () => {
    const rules = [
      { name: 'last', repositories: name, tags: '*', keep: { last: KEPT } },
      { name: 'untagged', repositories: name, untaggedAfterDays: UNTAGGED_DAYS },
    ]
    await client.json([200], 'PUT', path, { rules })
  }

  const push = async () => {
    const made = make(holding)
    const tag = `v${random.below(5)}`
    await pushMade(name, made, tag)
    holding.images.set(made.descriptor.digest, made)
    setLast(tag, made)
    await check()
  }

  /** The last pushed tags are whole. Any other manifest is whole or gone. */
  const check = async () => {
    for (const [tag, made] of sure) await pull(name, made, tag)
    const any = random.pick([...holding.images.values()])
    if (any !== undefined && !(await readWhole(name, any))) holding.images.delete(any.descriptor.digest)
  }

  const deleteLast = async () => {
    const [, made] = sure.at(-1) ?? []
    if (made === undefined) return
    const { digest } = made.descriptor
    const before = kills()
    const { status, body } = await client.send('DELETE', `/v2/${name}/manifests/${digest}`)
    // An image index lists it.
    if (status === 409) return
    if (status !== 202 && status !== 404) throw new Error(`deletion of ${name}@${digest}: ${status} ${body}`)
    if (status === 404 && kills() === before) throw new Error(`${name}@${digest} is missing`)
    sure = sure.filter(([, other]) => other.descriptor.digest !== digest)
    holding.images.delete(digest)
    await client.expect([404], 'GET', `/v2/${name}/manifests/${digest}`)
  }

  /** Restores what retention, or this client, has deleted. */
  const restore = async () => {
    const entries = await client.list<Entry>(`/namespaces/${namespace}/trash`, 200)
    const entry = random.pick(entries.filter(({ repository }) => repository === name))
    const made = known.get(entry?.digest ?? '')
    if (entry === undefined || made === undefined) return
    const target = `/namespaces/${namespace}/trash/${entry.id}/restore`
    const before = kills()
    const { status, json, body } = await client.expect([200, 404], 'POST', target)
    if (status === 404) {
      if (!isOver(entry) && kills() === before) throw new Error(`${target}: ${body}`)
      // A killed process may have restored tags. It is not known which.
      sure = []
      return
    }
    if (json.missing.length > 0) throw new Error(`${target}: ${body}`)
    for (const tag of json.tags) setLast(tag, made)
    if (json.tags.length > 0) holding.images.set(made.descriptor.digest, made)
    await check()
  }

  const dryRun = async (rules?: readonly object[]): Promise<readonly DryRunItem[]> => {
    const items: DryRunItem[] = []
    for (let after: string | null = ''; after !== null;) {
      const query = after && `&after=${encodeURIComponent(after)}`
      const { json } = await client.json(
        [200],
        'POST',
        `${path}/dry-run?limit=100${query}`,
        rules ? { rules } : {},
      )
      items.push(...json.items)
      after = json.next
    }
    return items
  }

  /** The dry run keeps the tags that the model keeps, and no rule covers the other repositories. */
  const compareDryRun = async () => {
    const items = await dryRun()
    const kept = items.filter((one) => one.repository === name && one.tag !== null && one.outcome === 'kept')
    const tags = new Set(kept.map(({ tag }) => tag))
    for (const [tag] of sure) if (!tags.has(tag)) throw new Error(`a dry run does not keep ${name}:${tag}`)
    const covered = items.filter((one) => one.repository !== name && one.outcome !== 'uncovered')
    if (kept.length > KEPT || kept.some(({ reason }) => reason !== 'last') || covered.length > 0)
      throw new Error(`a dry run of ${namespace}: ${JSON.stringify(items)}`)
  }

  return { name, path, push, check, deleteLast, restore, compareDryRun, dryRun, saveRules, sure: () => sure }
}

export type Retention = ReturnType<typeof createRetention>
