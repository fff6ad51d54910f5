import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createAdoptionRepository } from '../../src/reconcile/adoption-repository.ts'
import { MANIFEST, REPOSITORY, blobsOf, image, startIndex } from '../fixtures/index-and-registry.ts'
import { parsed } from '../fixtures/reconcile.ts'

const [ONE, TWO] = [image('one'), image('two')]
const [one, two] = [parsed(ONE), parsed(TWO)]

await onBothDatabases(t, async (t, db) => {
  const adoption = createAdoptionRepository(db)

  t.test('an adopted tag is recorded with its manifest, references and repository', async (t) => {
    const { index, tags } = await startIndex(db)
    t.same(await adoption.adoptTag(REPOSITORY, 'v1', one), { isNew: true, isTagged: true })
    t.same(await adoption.adoptTag(REPOSITORY, 'v2', one), { isNew: false, isTagged: true })
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
    await adoption.adoptTag(REPOSITORY, 'v1', one)
    const revision = await index.manifests.findRevision(REPOSITORY, one.digest)
    t.same(await adoption.adoptTag(REPOSITORY, 'v1', two), { isNew: true, isTagged: false })
    await adoption.adoptTag(REPOSITORY, 'v2', one)
    t.match(await tags(), { v1: one.digest })
    t.equal(await index.manifests.findRevision(REPOSITORY, one.digest), revision)
  })

  t.test('a manifest and a repository that were pending become visible', async (t) => {
    const { announce, manifests, pendingRows } = await startIndex(db)
    await announce(ONE, 'v1')
    t.same(await manifests(), [])
    t.same(await adoption.adoptTag(REPOSITORY, 'v1', one), { isNew: true, isTagged: true })
    t.same(await manifests(), [one.digest])
    t.same(await pendingRows(), [])
  })

  t.test('the number of deletions changes with each one', async (t) => {
    const { index } = await startIndex(db)
    const seen = [await adoption.countDeletions()]
    for (let deletion = 0; deletion < 2; deletion++) {
      await index.pendingPushes.contestPushes(REPOSITORY)
      seen.push(await adoption.countDeletions())
    }
    await adoption.adoptTag(REPOSITORY, 'v1', one)
    t.equal(await adoption.countDeletions(), seen.at(-1), 'an adoption is no deletion')
    await index.deletions.beginDeletion(REPOSITORY)
    await index.repositories.removeRepository(REPOSITORY, new Map())
    seen.push(await adoption.countDeletions())
    t.equal(new Set(seen).size, 4)
  })
})
