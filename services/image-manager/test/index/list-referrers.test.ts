import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createIndexRepositories } from '../../src/index/index.ts'

const SUBJECT = 'sha256:subject'
const PAGE = { after: '', limit: 100, bytes: 1000 }

void onBothDatabases(t, async (t, db) => {
  const index = createIndexRepositories(db)

  await t.test('a page of referrers is ordered by digest and limited in number and in bytes', async (t) => {
    await db.insertInto('repositories').values({ name: 'team/a' }).execute()
    const { id } = await db.selectFrom('repositories').select('id').executeTakeFirstOrThrow()
    const lengths = { 'sha256:1': 400, 'sha256:2': 500, 'sha256:3': 600, 'sha256:4': 2000 }
    await db
      .insertInto('manifests')
      .values([
        ...Object.entries(lengths).map(([digest, length]) => ({
          repository_id: id,
          digest,
          media_type: 'x/y',
          artifact_type: digest === 'sha256:2' ? 'a/signature' : 'a/sbom',
          subject: SUBJECT,
          size: length,
          raw: Buffer.alloc(length, ' '),
        })),
        { repository_id: id, digest: SUBJECT, media_type: 'x/y', raw: Buffer.from('{}') },
      ])
      .execute()
    const list = async (page: Partial<typeof PAGE> & { artifactType?: string }) => {
      const { rows, more } = await index.manifestLookup.listReferrers(id, SUBJECT, { ...PAGE, ...page })
      return [rows.map(({ digest, size }) => [digest, Number(size)]), more]
    }
    const [one, two, three, four] = Object.entries(lengths)
    t.same(await list({}), [[one, two], true], 'a page ends at the byte limit')
    t.same(await list({ after: 'sha256:2' }), [[three], true])
    t.same(
      await list({ after: 'sha256:3' }),
      [[four], false],
      'a referrer longer than a page is a page of its own',
    )
    t.same(await list({ after: 'sha256:4' }), [[], false])
    t.same(await list({ limit: 1 }), [[one], true], 'a page ends at the limit')
    t.same(await list({ artifactType: 'a/signature' }), [[two], false])
    t.same(await index.manifestLookup.listReferrers(id, 'sha256:1', PAGE), { rows: [], more: false })
  })
})
