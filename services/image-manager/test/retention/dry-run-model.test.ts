import type { Database } from '@registry-manager/database'
import { sql } from 'kysely'
import t from 'tap'
import type { DryRunItem } from '../../src/retention/dry-run.ts'
import { dryRun } from '../../src/retention/dry-run.ts'
import { formatDryRunPosition, parseDryRunPosition } from '../../src/retention/dry-run-position.ts'
import type { RetentionRule } from '../../src/retention/retention-rule.ts'
import { databaseForTest, repositoriesOf } from '../fixtures/index-and-registry.ts'

/*
 * Compares the dry run with a small model that knows all tags and rules at once: it has no SQL, no pages, no RE2 and no
 * node-semver.
 */

const NOW = Date.parse('2026-12-01T00:00:00Z')
const DAY_MS = 86_400_000
const ROUNDS = 40

/** mulberry32: the same numbers for the same seed. */
function randomNumbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

interface ModelManifest {
  readonly digest: string
  readonly pushed: number
  readonly pulled: number | undefined
  /** Days since the manifest lost a tag. */
  readonly untagged: number | undefined
  readonly index: string | undefined
  readonly subject: string | undefined
}

interface ModelTag {
  readonly name: string
  readonly digest: string
  /** Days ago. */
  readonly pushed: number
  readonly pulled: number | undefined
}

interface ModelRepository {
  readonly name: string
  readonly manifests: readonly ModelManifest[]
  readonly tags: readonly ModelTag[]
}

type NamedRule = RetentionRule & { readonly namespace: string }

const digestOf = (at: number) => `sha256:${at.toString(16).padStart(64, '0')}`
const REPOSITORIES = ['team/app', 'team/app/sub', 'team/b', 'team/empty']
const TAGS = ['v1.0.0', 'v1.2.0', 'v2.0.0', '1.5.0', 'dev_1', 'dev-2', 'devx3', 'latest', 'a.b', 'nightly-10']
const PATTERNS = ['*', 'v*', 'dev_*', '*.0', 'latest', 'n*-1*', 'v1.*.0']

function makeRepository(name: string, random: (below: number) => number): ModelRepository {
  if (name.endsWith('empty')) return { name, manifests: [], tags: [] }
  const maybe = (below: number) => (random(2) === 0 ? undefined : random(below))
  const manifests = Array.from({ length: 6 + random(6) }, (_, at): ModelManifest => {
    const other = random(2) === 0 || at === 0 ? undefined : digestOf(random(at) + 1)
    const kind = random(3)
    return {
      digest: digestOf(at + 1),
      pushed: random(40),
      pulled: maybe(40),
      untagged: maybe(40),
      // An image index lists manifests that exist. A subject may be missing.
      index: kind === 0 ? other : undefined,
      subject: kind === 1 ? (random(3) === 0 ? digestOf(1000 + at) : other) : undefined,
    }
  })
  const names = TAGS.filter(() => random(3) > 0)
  const tags = names.map((tag) => ({
    name: tag,
    digest: digestOf(1 + random(Math.ceil(manifests.length / 2))),
    pushed: random(40),
    pulled: maybe(40),
  }))
  return { name, manifests, tags }
}

function makeRule(at: number, namespace: string, random: (below: number) => number): NamedRule {
  const repositories = [`${namespace}/*`, namespace === 'team' ? 'team/b' : 'team/app'][random(2)] ?? ''
  const base = { name: `r${at}`, namespace, repositories }
  const days = () => 1 + random(40)
  if (random(4) === 0) return { ...base, untaggedAfterDays: days() }
  const pick = () => PATTERNS[random(PATTERNS.length)] ?? '*'
  const keep = [
    { last: 1 + random(4) },
    { pushedWithinDays: days() },
    { pulledWithinDays: days() },
    { semver: '>=1.2.0 <2.0.0' },
    { matching: '(dev|night).*[0-9]' },
  ].filter(() => random(3) === 0)
  return {
    ...base,
    tags: pick(),
    ...(random(3) === 0 && { except: [pick(), pick()] }),
    keep: Object.assign({ last: 1 }, ...keep),
    ...(random(4) === 0 && { untaggedAfterDays: days() }),
  }
}

/** The decisions that the model expects: a line for each tag and for each manifest without a tag. */
function expectedOf(repository: ModelRepository, rules: readonly NamedRule[]): string[] {
  const applies = ({ repositories }: NamedRule) =>
    repositories === repository.name ||
    (repositories.endsWith('/*') && `${repository.name}`.startsWith(repositories.slice(0, -1)))
  const mine = rules.filter(applies)
  const like = (pattern: string, tag: string) =>
    new RegExp(`^${pattern.replaceAll('.', String.raw`\.`).replaceAll('*', '.*')}$`).test(tag)
  const covered = ({ tags, except = [] }: NamedRule, tag: string) =>
    tags !== undefined && like(tags, tag) && !except.some((one) => like(one, tag))
  const lastPull = ({ pulled, digest }: ModelTag) => {
    const ofManifest = repository.manifests.find((one) => one.digest === digest)?.pulled
    return Math.min(pulled ?? Infinity, ofManifest ?? Infinity)
  }
  const isKept = (rule: NamedRule, tag: ModelTag) => {
    const { last = 0, pushedWithinDays = -1, pulledWithinDays = -1, semver, matching } = rule.keep ?? {}
    const newest = repository.tags
      .filter(({ name }) => covered(rule, name))
      .toSorted((a, b) => a.pushed - b.pushed || (a.name < b.name ? -1 : 1))
    return (
      newest.indexOf(tag) < last ||
      tag.pushed <= pushedWithinDays ||
      lastPull(tag) <= pulledWithinDays ||
      (semver !== undefined && ['v1.2.0', '1.5.0'].includes(tag.name)) ||
      (matching !== undefined && /^(dev|night).*[0-9]$/.test(tag.name))
    )
  }
  const ofTags = repository.tags
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((tag) => {
      const covering = mine.filter((rule) => covered(rule, tag.name))
      if (covering.length === 0) return `${repository.name}:${tag.name} uncovered`
      const keeper = covering.find((rule) => isKept(rule, tag))
      return `${repository.name}:${tag.name} ${keeper === undefined ? `deleted ${covering[0]?.name}` : `kept ${keeper.name}`}`
    })
  const days = Math.max(...mine.map(({ untaggedAfterDays = -1 }) => untaggedAfterDays), -1)
  if (days < 0) return ofTags
  const has = (digest: string | undefined) => repository.manifests.some((one) => one.digest === digest)
  const ofManifests = repository.manifests
    .filter(({ digest }) => !repository.tags.some((tag) => tag.digest === digest))
    .map(({ digest, pushed, pulled, untagged, subject }) => {
      const listed = repository.manifests.some(({ index }) => index === digest)
      const used = Math.min(pushed, pulled ?? Infinity, untagged ?? Infinity)
      const needed = listed ? 'kept index' : has(subject) ? 'kept subject' : undefined
      return `${repository.name}@${digest} ${needed ?? (used > days ? 'deleted' : 'kept untaggedAfterDays')}`
    })
  return [...ofTags, ...ofManifests]
}

async function load(db: Database, repositories: readonly ModelRepository[], rules: readonly NamedRule[]) {
  for (const table of [
    'all_repositories',
    'tag_history',
    'tag_pulls',
    'manifest_pulls',
    'retention_rules',
  ] as const)
    await db.deleteFrom(table).execute()
  const at = (days: number) => new Date(NOW - days * DAY_MS)
  for (const { name, manifests, tags } of repositories) {
    const { id } = await db
      .insertInto('all_repositories')
      .values({ name })
      .returning('id')
      .executeTakeFirstOrThrow()
    for (const { digest, pushed, pulled, untagged, subject = null } of manifests) {
      await sql`insert into all_manifests (repository_id, digest, media_type, raw, subject, pushed_at)
        values (${id}, ${digest}, 'x', ${Buffer.from(name + digest)}, ${subject}, ${at(pushed)})`.execute(db)
      if (pulled !== undefined)
        await db
          .insertInto('manifest_pulls')
          .values({ repository_id: id, digest, pulls: 1, last_pulled_at: at(pulled) })
          .execute()
      if (untagged !== undefined)
        await sql`insert into tag_history (repository_id, tag, digest, started_at, ended_at)
          values (${id}, 'gone', ${digest}, ${at(untagged)}, ${at(untagged)})`.execute(db)
    }
    for (const { digest, index } of manifests)
      if (index !== undefined)
        await sql`insert into manifest_references (repository_id, manifest_digest, digest, kind)
          values (${id}, ${digest}, ${index}, 'manifest')`.execute(db)
    for (const { name: tag, digest, pushed, pulled } of tags) {
      await sql`insert into tags (repository_id, name, digest, updated_at) values (${id}, ${tag}, ${digest}, ${at(pushed)})`.execute(
        db,
      )
      if (pulled !== undefined)
        await db
          .insertInto('tag_pulls')
          .values({ repository_id: id, tag, pulls: 1, last_pulled_at: at(pulled) })
          .execute()
    }
  }
  for (const [namespace, its] of Map.groupBy(rules, (rule) => rule.namespace)) {
    const stored = its.map(withoutNamespace)
    await db
      .insertInto('retention_rules')
      .values({ namespace, rules: JSON.stringify(stored) })
      .execute()
  }
}

function withoutNamespace({ namespace: _namespace, ...rule }: NamedRule): RetentionRule {
  return rule
}

function lineOf({ repository, tag, digest, ...decision }: DryRunItem): string {
  const what = tag === null ? `${repository}@${digest}` : `${repository}:${tag}`
  if (decision.outcome === 'uncovered') return `${what} uncovered`
  if (tag !== null) return `${what} ${decision.outcome} ${(decision as { rule: string }).rule}`
  return `${what} ${decision.outcome === 'deleted' ? 'deleted' : `kept ${decision.reason}`}`
}

const db = await databaseForTest(t)
const ports = { ...repositoriesOf(db), now: () => NOW }
// All pulls are counted.
await db.updateTable('collection').set({ began_at: '2020-01-01' }).execute()

t.test(`${ROUNDS} random lists of rules have the result of the model with pages of any length`, async (t) => {
  const outcomes = new Map<string, number>()
  for (let seed = 1; seed <= ROUNDS; seed += 1) {
    const random = randomNumbers(seed)
    const repositories = REPOSITORIES.map((name) => makeRepository(name, random))
    const rules = Array.from({ length: 1 + random(4) }, (_, at) =>
      makeRule(at, random(3) === 0 ? 'team/app' : 'team', random),
    )
    // The outer namespace comes first.
    const ordered = rules.toSorted((one, other) => one.namespace.length - other.namespace.length)
    await load(db, repositories, ordered)
    const isSaved = random(2) === 0
    const given = ordered.filter(({ namespace }) => namespace === 'team').map(withoutNamespace)
    if (!isSaved) await db.deleteFrom('retention_rules').where('namespace', '=', 'team').execute()
    const seen: string[] = []
    const limit = 1 + random(12)
    let next: string | undefined = ''
    while (next !== undefined) {
      const after = next === '' ? undefined : parseDryRunPosition(next)
      const page = await dryRun(ports, {
        namespace: 'team',
        limit,
        after,
        rules: isSaved ? undefined : given,
      })
      t.ok(page.items.length <= limit)
      seen.push(...page.items.map(lineOf))
      next = page.next && formatDryRunPosition(page.next)
    }
    // Rules that are tried come after those of other namespaces.
    const tried = isSaved
      ? ordered
      : ordered.toSorted((a, b) => Number(a.namespace === 'team') - Number(b.namespace === 'team'))
    const wanted = repositories.flatMap((repository) => expectedOf(repository, tried))
    t.strictSame(seen, wanted, `seed ${seed}, pages of ${limit}`)
    for (const line of wanted) {
      const [, outcome = ''] = / (\w+(?: (?:index|subject|untaggedAfterDays))?)/.exec(line) ?? []
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
  }
  for (const outcome of [
    'uncovered',
    'deleted',
    'kept',
    'kept index',
    'kept subject',
    'kept untaggedAfterDays',
  ])
    t.ok((outcomes.get(outcome) ?? 0) > 10, `${outcome}: ${outcomes.get(outcome)}`)
})
