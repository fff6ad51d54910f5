import { randomUUID } from 'node:crypto'
import type { Database } from '@registry-manager/database'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { sql } from 'kysely'
import t from 'tap'
import { recordOrUndoPush } from '../../src/push/record-or-undo-push.ts'
import { createRetentionPorts } from '../../src/retention/index.ts'
import type { RetentionRule } from '../../src/retention/retention-rule.ts'
import { createRetentionRunsRepository } from '../../src/retention/retention-runs-repository.ts'
import type { RunRetentionPorts } from '../../src/retention/run-retention.ts'
import { runRetention } from '../../src/retention/run-retention.ts'
import {
  INDEX,
  MANIFEST,
  image,
  indexOf,
  repositoriesOf,
  startIndex,
} from '../fixtures/index-and-registry.ts'
import { digestOf } from '../fixtures/memory-registry.ts'
import type { MemoryRegistry } from '../fixtures/memory-registry.ts'
import { mortal } from '../fixtures/mortal.ts'

const APP = 'team/app'
const [ONE, TWO, THREE, FOUR] = [image('one'), image('two'), image('three'), image('four')]
const RULES: readonly RetentionRule[] = [
  { name: 'builds', repositories: 'team/*', tags: '*', except: ['latest'], keep: { last: 1 } },
  { name: 'untagged', repositories: 'team/*', untaggedAfterDays: 1 },
]
const NO_SIGNAL = new AbortController().signal

/** A signature: a manifest with a subject. */
function referrerOf(subject: Buffer, text: string): Buffer {
  const descriptor = { mediaType: MANIFEST, digest: digestOf(subject), size: subject.length }
  return Buffer.from(JSON.stringify({ ...JSON.parse(image(text).toString()), subject: descriptor }))
}

await onBothDatabases(t, async (t, plain) => {
  /** An empty index with rules. */
  const start = async (rules: readonly RetentionRule[] = RULES) => {
    const started = await startIndex(plain)
    await plain.updateTable('collection').set({ began_at: '2020-01-01' }).execute()
    const { announce, index, registry } = started
    if (rules.length > 0)
      await plain
        .insertInto('retention_rules')
        .values({ namespace: 'team', rules: JSON.stringify(rules) })
        .execute()
    /** Pushes a manifest some days ago. */
    const push = async (
      raw: Buffer,
      tag: string | undefined,
      days: number,
      repository = APP,
      type = MANIFEST,
    ) => {
      const pending = await announce(raw, tag ?? null, type, repository)
      registry.push(raw, type, tag, repository)
      await recordOrUndoPush({ ...started.ports }, pending)
      const time = sql<Date>`now() - make_interval(days => ${days})`
      await plain
        .updateTable('all_manifests')
        .set({ pushed_at: time })
        .where('digest', '=', digestOf(raw))
        .execute()
      if (tag !== undefined)
        await plain.updateTable('tags').set({ updated_at: time }).where('name', '=', tag).execute()
      await sql`update tag_history set started_at = ${time} where ended_at is null`.execute(plain)
      return digestOf(raw)
    }
    const contents = async () => ({
      tags: Object.keys(await started.tags()),
      manifests: await started.manifests(),
    })
    const events = async () =>
      (
        await plain
          .selectFrom('events')
          .select(['action', 'detail', 'principal_name as by', 'principal_kind as kind'])
          .where('action', 'in', ['tag.delete', 'manifest.delete'])
          .orderBy('id')
          .execute()
      ).map(
        ({ action, detail, by, kind }) => `${action} ${kind} ${by} ${(detail as { reason?: string }).reason}`,
      )
    return { ...started, index, push, contents, events }
  }

  /** The ports of one replica. */
  const portsOf = (
    db: Database,
    registry: MemoryRegistry,
    given: Partial<RunRetentionPorts> = {},
    failures: string[] = [],
  ): RunRetentionPorts => {
    const repositories = repositoriesOf(db)
    const retentionRuns = createRetentionRunsRepository(db, randomUUID())
    const ports = { ...repositories, retentionRuns, registry, now: Date.now }
    return {
      ...createRetentionPorts({ ...ports, trashDays: 0 }, NO_SIGNAL),
      onFailure: (repository, reference) => void failures.push(`${repository} ${reference}`),
      ...given,
    }
  }
  const run = (ports: RunRetentionPorts, signal = NO_SIGNAL, intervalSeconds = 0) => {
    const counts = { tags: 0, manifests: 0, failures: 0 }
    return runRetention(ports, {
      signal,
      intervalSeconds,
      onTaken: () => undefined,
      onProgress(done) {
        for (const name of ['tags', 'manifests', 'failures'] as const) counts[name] += done[name]
      },
    }).then((finished) => ({ finished, counts }))
  }

  await t.test(
    'a run deletes tags and manifests that no rule keeps, and events name image-manager and the reason',
    async (t) => {
      const { push, contents, events, registry, index } = await start()
      await push(ONE, 'v1', 9)
      await push(TWO, 'v2', 8)
      await push(THREE, 'latest', 10)
      const old = await push(FOUR, undefined, 5)
      await push(ONE, 'v1', 9, 'other/app')
      const { counts } = await run(portsOf(plain, registry))
      t.strictSame(counts, { tags: 1, manifests: 1, failures: 0 })
      const { tags, manifests } = await contents()
      t.strictSame(tags, ['latest', 'v1', 'v2'], 'v1 of the other namespace stays')
      t.notOk(manifests.includes(old))
      t.notOk(registry.manifests.has(old))
      t.notOk(registry.tags.has('v1'))
      t.ok(manifests.includes(digestOf(ONE)), 'the manifest of a tag that was deleted now stays for a day')
      t.strictSame(await events(), [
        'tag.delete service image-manager retention',
        'manifest.delete service image-manager retention',
      ])
      const [ended] = await createRetentionRunsRepository(plain, randomUUID()).listRuns('team', 10)
      t.match(ended, { repositories: 1, tags: 1, manifests: 1, failures: 0, finishedAt: Date })
      t.match((await index.retentionRuns.listRuns('other', 10))[0], { repositories: 0, tags: 0 })
    },
  )

  await t.test('nothing is deleted by a process whose clock differs from that of the database', async (t) => {
    const { push, contents, registry } = await start()
    await push(ONE, 'v1', 1)
    await push(TWO, 'v2', 0)
    const before = await contents()
    for (const days of [-400, 400]) {
      const now = () => Date.now() + days * 86_400_000
      await t.rejects(run(portsOf(plain, registry, { now })), { message: /the clock of this machine is/ })
    }
    t.strictSame(await contents(), before)
  })

  await t.test(
    'older content stays as long as if it was pulled when the counting of pulls began',
    async (t) => {
      const keep = { pulledWithinDays: 3 }
      const { push, contents, registry } = await start([
        { name: 'pulled', repositories: 'team/*', tags: '*', keep, untaggedAfterDays: 3 },
      ])
      await push(ONE, 'v1', 9)
      await push(TWO, undefined, 9)
      const before = await contents()
      const beganDaysAgo = (days: number) =>
        plain
          .updateTable('collection')
          .set({ began_at: sql`now() - make_interval(days => ${days})` })
          .execute()
      await beganDaysAgo(2)
      t.strictSame((await run(portsOf(plain, registry))).counts, { tags: 0, manifests: 0, failures: 0 })
      t.strictSame(await contents(), before)
      await beganDaysAgo(4)
      t.strictSame((await run(portsOf(plain, registry))).counts, { tags: 1, manifests: 1, failures: 0 })
    },
  )

  await t.test(
    'manifests that an image index lists, whose subject exists, or that an immutable tag needs stay',
    async (t) => {
      const { push, contents, registry } = await start()
      await push(ONE, undefined, 9)
      await push(indexOf(ONE), 'latest', 9, APP, INDEX)
      await push(TWO, 'fixed', 9)
      await push(referrerOf(TWO, 'signature'), undefined, 9)
      await push(THREE, 'v3', 1)
      const before = await contents()
      const fixed = [{ name: 'fixed', repositories: 'team/*', tags: 'fixed' }]
      await plain
        .insertInto('tag_rules')
        .values({ namespace: 'team', rules: JSON.stringify(fixed) })
        .execute()
      const { counts } = await run(portsOf(plain, registry))
      t.strictSame(counts, { tags: 0, manifests: 0, failures: 0 })
      t.strictSame(await contents(), before)
    },
  )

  await t.test('the referrers of a deleted manifest go with it', async (t) => {
    const { push, contents, registry } = await start()
    await push(ONE, 'v1', 1)
    const signature = referrerOf(TWO, 'signature')
    await push(TWO, undefined, 9)
    await push(signature, undefined, 0)
    await push(referrerOf(signature, 'of the signature'), undefined, 0)
    await push(referrerOf(ONE, 'stays'), undefined, 9)
    const { counts } = await run(portsOf(plain, registry))
    t.strictSame(counts, { tags: 0, manifests: 3, failures: 0 })
    t.strictSame((await contents()).manifests, [digestOf(ONE), digestOf(referrerOf(ONE, 'stays'))].toSorted())
  })

  await t.test(
    'a tag that is named after a manifest stays with it, and takes no place among the last ones',
    async (t) => {
      const { push, contents, registry } = await start([RULES[0] as RetentionRule])
      const digest = await push(ONE, 'v1', 9)
      const signature = digest.replace(':', '-')
      await push(TWO, `${signature}.sig`, 8)
      await push(THREE, `sha256-${'0'.repeat(64)}.sig`, 7)
      const { counts } = await run(portsOf(plain, registry))
      t.strictSame(counts, { tags: 1, manifests: 0, failures: 0 })
      t.strictSame(
        (await contents()).tags,
        [`${signature}.sig`, 'v1'],
        'only the signature of a missing image is deleted',
      )
    },
  )

  await t.test('a push, a pull or new rules between the decision and the deletion win', async (t) => {
    for (const [why, change] of [
      ['a push of the same image', async ({ push }) => push(ONE, 'v1', 0)],
      ['a push of another image', async ({ push }) => push(THREE, 'v1', 0)],
      [
        'a pull',
        async ({ index }) =>
          index.pulls.addPulls(randomUUID(), [
            { repository: APP, digest: digestOf(ONE), count: 1, lastAt: new Date() },
          ]),
      ],
      ['a push that has begun', async ({ announce }) => announce(THREE, 'v1')],
      ['new rules', async () => plain.deleteFrom('retention_rules').execute()],
    ] as const satisfies readonly (readonly [
      string,
      (world: Awaited<ReturnType<typeof start>>) => Promise<unknown>,
    ])[]) {
      const keep = { last: 1, pulledWithinDays: 1 }
      const world = await start([{ name: 'builds', repositories: 'team/*', tags: '*', keep }])
      await world.push(ONE, 'v1', 9)
      await world.push(TWO, 'v2', 8)
      const ports = portsOf(plain, world.registry)
      let isChanged = false
      const { counts } = await run({
        ...ports,
        candidates: {
          ...ports.candidates,
          async listTags(...page) {
            const found = await ports.candidates.listTags(...page)
            if (!isChanged) await change(world)
            isChanged = true
            return found
          },
        },
      })
      t.equal(counts.tags, 0, why)
      t.ok((await world.contents()).tags.includes('v1'), why)
    }
  })

  await t.test('a tag that cannot be deleted is reported, and the run continues', async (t) => {
    const { push, contents, registry } = await start()
    for (const [at, raw] of [ONE, TWO, THREE].entries()) await push(raw, `v${at + 1}`, 9 - at)
    registry.before = (call) => {
      if (call === 'HEAD manifest v1') throw new Error('this tag is broken')
    }
    const failures: string[] = []
    const { counts, finished } = await run(portsOf(plain, registry, {}, failures))
    t.ok(finished)
    t.strictSame(counts, { tags: 1, manifests: 0, failures: 1 })
    t.strictSame(failures, ['team/app v1'])
    t.strictSame((await contents()).tags, ['v1', 'v3'])
  })

  await t.test('of two replicas one works, the other one resumes where it stopped', async (t) => {
    const { push, registry } = await start()
    for (const repository of ['team/a', 'team/b', 'team/c']) {
      await push(ONE, 'v1', 9, repository)
      await push(TWO, 'v2', 8, repository)
    }
    const stopping = new AbortController()
    const examined: string[] = []
    const replica = (stopAt?: string) => {
      const ports = portsOf(plain, registry)
      const { listGoverned } = ports.candidates
      return {
        ...ports,
        retentionRuns: {
          ...ports.retentionRuns,
          async save(...[id, progress, lease]: Parameters<typeof ports.retentionRuns.save>) {
            if (progress.lastName !== undefined) examined.push(progress.lastName)
            const isSaved = await ports.retentionRuns.save(id, progress, lease)
            if (progress.lastName === stopAt) {
              // While the first replica holds the lease, the second one has nothing to do.
              t.equal((await run(portsOf(plain, registry))).finished, undefined)
              stopping.abort(new Error('the service is stopping'))
            }
            return isSaved
          },
        },
        candidates: { ...ports.candidates, listGoverned },
      }
    }
    await t.rejects(run(replica('team/b'), stopping.signal), /the service is stopping/)
    const { finished, counts } = await run(replica())
    t.ok(finished)
    t.strictSame(examined, ['team/a', 'team/b', 'team/c'])
    t.strictSame(counts, { tags: 1, manifests: 0, failures: 0 })
    const [ended] = await createRetentionRunsRepository(plain, randomUUID()).listRuns('team', 10)
    t.match(ended, { repositories: 3, tags: 3 })
    t.equal((await run(portsOf(plain, registry), NO_SIGNAL, 3600)).finished, undefined, 'no run is due')
  })

  await t.test('a run that is killed after any step is finished by the next process', async (t) => {
    for (let steps = 0; ; steps += 3) {
      const { push, contents, events, registry } = await start()
      await push(ONE, 'v1', 9)
      await push(TWO, 'v2', 8)
      await push(FOUR, undefined, 5)
      const process = mortal(plain, registry, steps)
      await run(portsOf(process.db, process.registry)).catch(() => undefined)
      if (process.isAlive()) break
      await plain
        .updateTable('retention_runs')
        .set({ leased_until: new Date(0) })
        .execute()
      await run(portsOf(plain, registry))
      const { tags, manifests } = await contents()
      t.strictSame(
        [tags, manifests],
        [['v2'], [digestOf(ONE), digestOf(TWO)].toSorted()],
        `after ${steps} steps`,
      )
      t.notOk(registry.tags.has('v1'))
      const recorded = await events()
      t.ok(recorded.length <= 2, 'no deletion is recorded twice')
    }
  })

  await t.test('without rules there is no run', async (t) => {
    const { registry } = await start([])
    t.equal((await run(portsOf(plain, registry))).finished, undefined)
    t.strictSame(await plain.selectFrom('retention_runs').select('id').execute(), [])
  })
})
