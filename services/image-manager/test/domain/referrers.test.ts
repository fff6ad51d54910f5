import type { Reference } from '@registry-manager/oci'
import t from 'tap'
import type { ReferrerRow } from '../../src/adapters/index-queries.ts'
import { findReferrers } from '../../src/domain/referrers.ts'

const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`
const [SUBJECT, ONE, OTHER] = [digestOf('0'), digestOf('1'), digestOf('2')] as const
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

interface Held {
  readonly rows?: readonly Partial<ReferrerRow>[]
  /** The text under the subject's fallback tag. */
  readonly fallback?: string
  /** Manifests that are there. */
  readonly known?: readonly string[]
}

function queriesOn({ rows = [], fallback, known = [] }: Held) {
  return {
    findRepository: async (name: string) =>
      name === 'team/app' ? { id: '1', name, scope: 'namespace' as const } : undefined,
    listReferrers: async () =>
      rows.map((row) => ({
        mediaType: MANIFEST,
        digest: ONE,
        artifactType: null,
        annotations: null,
        size: 7,
        ...row,
      })),
    findManifest: async (_name: string, reference: Reference) =>
      fallback !== undefined && 'tag' in reference && reference.tag === `sha256-${'0'.repeat(64)}`
        ? { digest: OTHER, mediaType: 'x', kept: false, raw: Buffer.from(fallback) }
        : undefined,
    filterKnown: async (_id: string, digests: readonly string[]) =>
      new Set(digests.filter((digest) => known.includes(digest))),
  }
}

const find = (held: Held, artifactType?: string) =>
  findReferrers(queriesOn(held), 'team/app', SUBJECT, artifactType)

t.test('what names the subject', async (t) => {
  const annotations = { made: 'here' }
  const rows = [{ artifactType: 'a/signature', annotations }, { digest: OTHER }]
  t.strictSame(await find({ rows }), [
    { mediaType: MANIFEST, digest: ONE, size: 7, artifactType: 'a/signature', annotations },
    { mediaType: MANIFEST, digest: OTHER, size: 7 },
  ])
  t.strictSame(await find({ rows }, 'a/sbom'), [])
  t.match(await find({ rows }, 'a/signature'), [{ digest: ONE }])
  t.strictSame(await findReferrers(queriesOn({ rows }), 'team/absent', SUBJECT, undefined), [])
})

t.test('what is kept under the fallback tag', async (t) => {
  const entry = { mediaType: MANIFEST, digest: OTHER, size: 9, artifactType: 'a/sbom' }
  const fallback = JSON.stringify({ manifests: [entry] })
  t.strictSame(await find({ fallback, known: [OTHER] }), [entry])
  t.strictSame(await find({ fallback }), [], 'not what is deleted')
  t.strictSame(await find({ fallback, known: [OTHER] }, 'a/sbom'), [entry])
  t.strictSame(await find({ fallback, known: [OTHER] }, 'a/signature'), [])
  const rows = [{ digest: OTHER, artifactType: 'a/real' }]
  t.strictSame(
    await find({ fallback, known: [OTHER], rows }),
    [{ mediaType: MANIFEST, digest: OTHER, size: 7, artifactType: 'a/real' }],
    'once, as the manifest itself says',
  )
})

t.test('a fallback tag that holds something else', async (t) => {
  const bad = [{ digest: ONE }, { digest: 1, mediaType: MANIFEST, size: 1 }, 'text', null]
  for (const text of ['{}', '{"manifests":{}}', JSON.stringify({ manifests: bad })]) {
    t.strictSame(await find({ fallback: text, known: [ONE, OTHER] }), [], text)
  }
})
