import type { Reference } from '@registry-manager/oci'
import t from 'tap'
import type { FindReferrersPorts, ReferrerDescriptor } from '../../src/index/referrers.ts'
import type { Page } from '../../src/index/repository.ts'
import { findReferrers } from '../../src/index/referrers.ts'

const digestOf = (digit: string) => `sha256:${digit.repeat(64)}`
const [SUBJECT, ONE, OTHER] = [digestOf('0'), digestOf('1'), digestOf('2')] as const
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json'

type Lookup = FindReferrersPorts['manifestLookup']
type Referrer = Awaited<ReturnType<Lookup['listReferrers']>>['rows'][number]

interface Held {
  readonly rows?: readonly Partial<Referrer>[]
  /** The manifest of the subject's fallback tag. */
  readonly fallback?: string
  /** Manifests that the index has. */
  readonly known?: readonly string[]
  /** Number of rows of a page. */
  readonly pageSize?: number
}

function portsOn({ rows = [], fallback, known = [], pageSize }: Held): FindReferrersPorts {
  const repositories = {
    findRepository: async (name: string) => (name === 'team/app' ? { id: '1' } : undefined),
  }
  const manifestLookup: Lookup = {
    listReferrers: async (_id, _subject, { artifactType, after, limit }) => {
      const all = rows
        .map((row) => ({
          mediaType: MANIFEST,
          digest: ONE,
          artifactType: null,
          annotations: null,
          size: 7,
          ...row,
        }))
        .filter(
          (row) => row.digest > after && (artifactType === undefined || row.artifactType === artifactType),
        )
      const page = all.slice(0, pageSize ?? limit)
      return { rows: page, more: page.length < all.length }
    },
    findManifest: async (_name: string, reference: Reference) =>
      fallback !== undefined && 'tag' in reference && reference.tag === `sha256-${'0'.repeat(64)}`
        ? { raw: Buffer.from(fallback) }
        : undefined,
  }
  const manifests = {
    filterManifests: async (_repository: string, digests: readonly string[]) =>
      new Set(digests.filter((digest) => known.includes(digest))),
  }
  return { repositories, manifestLookup, manifests }
}

const findPage = (held: Held, artifactType?: string, after?: string) =>
  findReferrers(portsOn(held), 'team/app', SUBJECT, { artifactType, after })
const find = async (held: Held, artifactType?: string) => (await findPage(held, artifactType)).items

/** All pages, each as the digests in it. */
async function readPages(held: Held, artifactType?: string): Promise<string[][]> {
  const pages: string[][] = []
  for (let after: string | undefined = ''; after !== undefined && pages.length < 100;) {
    const page: Page<ReferrerDescriptor> = await findPage(held, artifactType, after)
    pages.push(page.items.map(({ digest }) => digest))
    after = page.next
  }
  return pages
}

t.test(
  'referrers are the manifests whose subject is the digest, optionally of one artifact type',
  async (t) => {
    const annotations = { made: 'here' }
    const rows = [{ artifactType: 'a/signature', annotations }, { digest: OTHER }]
    t.strictSame(await find({ rows }), [
      { mediaType: MANIFEST, digest: ONE, size: 7, artifactType: 'a/signature', annotations },
      { mediaType: MANIFEST, digest: OTHER, size: 7 },
    ])
    t.strictSame(await find({ rows }, 'a/sbom'), [])
    t.match(await find({ rows }, 'a/signature'), [{ digest: ONE }])
    t.strictSame(await findReferrers(portsOn({ rows }), 'team/absent', SUBJECT), {
      items: [],
      next: undefined,
    })
  },
)

t.test('descriptors of the fallback tag are listed with the referrers', async (t) => {
  const entry = { mediaType: MANIFEST, digest: OTHER, size: 9, artifactType: 'a/sbom' }
  const fallback = JSON.stringify({ manifests: [entry] })
  t.strictSame(await find({ fallback, known: [OTHER] }), [entry])
  t.strictSame(await find({ fallback }), [], 'a deleted manifest is left out')
  t.strictSame(await find({ fallback, known: [OTHER] }, 'a/sbom'), [entry])
  t.strictSame(await find({ fallback, known: [OTHER] }, 'a/signature'), [])
  const rows = [{ digest: OTHER, artifactType: 'a/real' }]
  t.strictSame(
    await find({ fallback, known: [OTHER], rows }),
    [{ mediaType: MANIFEST, digest: OTHER, size: 7, artifactType: 'a/real' }],
    'a manifest in both sources is listed once, as the index has it',
  )
})

t.test('a fallback tag whose manifest has no valid descriptors lists nothing', async (t) => {
  const bad = [{ digest: ONE }, { digest: 1, mediaType: MANIFEST, size: 1 }, 'text', null]
  for (const text of ['{}', '{"manifests":{}}', JSON.stringify({ manifests: bad })]) {
    t.strictSame(await find({ fallback: text, known: [ONE, OTHER] }), [], text)
  }
})

t.test('pages of referrers have each descriptor once, ordered by digest, from both sources', async (t) => {
  const digests = ['1', '2', '3', '4', '5', '6', '7'].map(digestOf)
  const rows = digests.filter((_, at) => at % 2 === 0).map((digest) => ({ digest, artifactType: 'a/sbom' }))
  const named = digests
    .slice(1)
    .map((digest) => ({ mediaType: MANIFEST, digest, size: 9, artifactType: 'a/sbom' }))
  const fallback = JSON.stringify({ manifests: named })
  for (const pageSize of [1, 2, 3, 100]) {
    const pages = await readPages({ rows, fallback, known: digests, pageSize }, 'a/sbom')
    t.strictSame(pages.flat(), digests, `pages of ${pageSize} rows`)
    t.ok(pages.every((page) => page.length > 0))
  }
})

t.test('a page of referrers ends at 1 MiB, and has at least one descriptor of any length', async (t) => {
  const long = { note: 'x'.repeat(400_000) }
  const digests = ['1', '2', '3', '4', '5'].map(digestOf)
  const rows = digests.map((digest) => ({ digest, annotations: long }))
  t.strictSame(await readPages({ rows }), [digests.slice(0, 2), digests.slice(2, 4), digests.slice(4)])
  const huge = { note: 'x'.repeat(3_900_000) }
  t.strictSame(
    await readPages({ rows: digests.map((digest) => ({ digest, annotations: huge })) }),
    digests.map((digest) => [digest]),
  )
})
