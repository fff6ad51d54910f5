import { sql } from 'kysely'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import type { Manifest } from '../../src/index/manifest.ts'
import { createAdoptionRepository } from '../../src/reconcile/adoption-repository.ts'
import { MANIFEST, REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { contentsOfIndex, parsed } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [parsed(ONE), parsed(TWO)]

await onBothDatabases(t, async (t, db) => {
  const adoption = createAdoptionRepository(db)

  const adopt = async (tag: string, manifest: Manifest) =>
    (await adoption.adoptTags([{ repository: REPOSITORY, tag, manifest }]))[0]

  t.test('an adopted tag is recorded with its manifest, references and repository', async (t) => {
    const { index, tags } = await startIndex(db)
    t.same(await adopt('v1', one), { isNew: true, isTagged: true })
    t.same(await adopt('v2', one), { isNew: false, isTagged: true })
    t.same(await tags(), { v1: one.digest, v2: one.digest })
    const { raw, mediaType } = (await index.manifestLookup.findManifest(REPOSITORY, { tag: 'v1' })) ?? {}
    t.same([raw, mediaType], [ONE, MANIFEST])
    t.same(
      (await index.references.listReferences(REPOSITORY, one.digest)).toSorted(),
      blobsOf(ONE).toSorted(),
    )
  })

  t.test('a tag and a manifest that the index has stay unchanged', async (t) => {
    const { index, tags } = await startIndex(db)
    await adopt('v1', one)
    const revision = await index.manifests.findRevision(REPOSITORY, one.digest)
    t.same(await adopt('v1', two), { isNew: true, isTagged: false })
    await adopt('v2', one)
    t.match(await tags(), { v1: one.digest })
    t.equal(await index.manifests.findRevision(REPOSITORY, one.digest), revision)
  })

  t.test('a manifest and a repository that were pending become visible', async (t) => {
    const { announce, manifests, pendingRows } = await startIndex(db)
    await announce(ONE, 'v1')
    t.same(await manifests(), [])
    t.same(await adopt('v1', one), { isNew: true, isTagged: true })
    t.same(await manifests(), [one.digest])
    t.same(await pendingRows(), [])
  })

  t.test('tags of several repositories are recorded together, and each manifest is new once', async (t) => {
    await startIndex(db)
    const tagsOf = (repository: string) => [
      { repository, tag: 'v2', manifest: two },
      { repository, tag: 'v1', manifest: one },
      { repository, tag: 'latest', manifest: two },
    ]
    const found = ['team/b', 'team/a'].flatMap(tagsOf)
    t.same(
      (await adoption.adoptTags(found)).map(({ isNew, isTagged }) => [isNew, isTagged]),
      [...Array(2)].flatMap(() => [
        [true, true],
        [true, true],
        [false, true],
      ]),
    )
    const contents = {
      tags: { latest: two.digest, v1: one.digest, v2: two.digest },
      manifests: [one.digest, two.digest].toSorted(),
    }
    t.same(await contentsOfIndex(db), { 'team/a': contents, 'team/b': contents })
    const { rows } = await sql<{ raw: Buffer; size: number; names: string }>`
      select raw, size::integer as size, (
        select string_agg(one.digest, ' ' order by one.digest) from manifest_references as one
        where one.repository_id = all_manifests.repository_id and manifest_digest = all_manifests.digest) as names
      from all_manifests order by size, digest`.execute(db)
    const expected = [ONE, ONE, TWO, TWO].map((raw) => [raw, raw.length, blobsOf(raw).toSorted().join(' ')])
    t.same(
      rows.map(({ raw, size, names }) => [Buffer.from(raw), size, names]).toSorted(),
      expected.toSorted(),
    )
    t.same(await adoption.adoptTags(found.slice(0, 1)), [{ isNew: false, isTagged: false }])
  })

  t.test('a tag that cannot be recorded leaves the others of its call unrecorded', async (t) => {
    await startIndex(db)
    const bad = { ...two, annotations: { text: 'Postgres cannot store \0' } }
    const found = [one, bad].map((manifest) => ({ repository: REPOSITORY, tag: 'v1', manifest }))
    await t.rejects(adoption.adoptTags(found))
    t.same(await contentsOfIndex(db), {})
  })

  t.test('the number of deletions changes with each one', async (t) => {
    const { index } = await startIndex(db)
    const seen = [await adoption.countDeletions()]
    for (let deletion = 0; deletion < 2; deletion++) {
      await index.pendingPushes.contestPushes(REPOSITORY)
      seen.push(await adoption.countDeletions())
    }
    await adopt('v1', one)
    t.equal(await adoption.countDeletions(), seen.at(-1), 'an adoption is no deletion')
    await index.deletions.beginDeletion(REPOSITORY)
    await index.repositories.removeRepository(REPOSITORY)
    seen.push(await adoption.countDeletions())
    t.equal(new Set(seen).size, 4)
  })
})
