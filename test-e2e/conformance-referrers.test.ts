import { randomBytes } from 'node:crypto'
import t from 'tap'
import type { Descriptor, Made } from './harness/manifests.ts'
import { EMPTY, MEDIA_TYPES, digestOf, makeImage, makeIndex, randomLayer } from './harness/manifests.ts'
import { createRegistryClient } from './harness/registry-client.ts'
import { basic, startSystem } from './harness/system.ts'

/* OCI distribution-spec 1.1, "Pushing Manifests with Subject", "Listing Referrers", "Referrers Tag Schema". */

const system = await startSystem(t)
const client = createRegistryClient(system.url, basic(await system.createUser('jane', ['team'])))

const SIGNATURE = 'application/vnd.example.signature.v1'
const SBOM = 'application/vnd.example.sbom.v1+json'

function attach(subject: Descriptor, artifactType?: string, annotations?: Record<string, string>): Made {
  const fields = { artifactType, subject, annotations }
  return makeImage({ config: EMPTY, layers: [['application/octet-stream', randomBytes(64)]], fields })
}

/** A manifest's entry in a list of referrers. */
function listed({ descriptor }: Made, artifactType?: string, annotations?: Record<string, string>) {
  return {
    ...descriptor,
    ...(artifactType !== undefined && { artifactType }),
    ...(annotations && { annotations }),
  }
}

async function referrersOf(repository: string, digest: string, query = ''): Promise<{ digest: string }[]> {
  const { status, headers, json } = await client.send('GET', `/v2/${repository}/referrers/${digest}${query}`)
  const { schemaVersion, mediaType, manifests } = json
  if (status !== 200 || schemaVersion !== 2 || mediaType !== MEDIA_TYPES.index) throw new Error(`${status}`)
  t.equal(headers['content-type'], MEDIA_TYPES.index)
  t.equal(headers['oci-filters-applied'], query === '' ? undefined : 'artifactType')
  return manifests.toSorted((one: Descriptor, other: Descriptor) => (one.digest < other.digest ? -1 : 1))
}

const sorted = <One extends { digest: string }>(list: One[]): One[] =>
  list.toSorted((one, other) => (one.digest < other.digest ? -1 : 1))

t.test('Listing Referrers: a digest without referrers has an empty list, not 404', async (t) => {
  const image = makeImage()
  await client.push('team/none', image)
  for (const repository of ['team/none', 'team/absent']) {
    for (const digest of [image.descriptor.digest, digestOf('nobody pushed this'), digestOf('', 'sha512')]) {
      t.strictSame(
        await referrersOf(repository, digest),
        [],
        `${repository} ${digest.slice(0, 7)} has no referrers`,
      )
      t.strictSame(await referrersOf(repository, digest, `?artifactType=${encodeURIComponent(SBOM)}`), [])
    }
  }
})

t.test('Listing Referrers: referrers have types and annotations, and can be filtered', async (t) => {
  const subject = makeImage()
  await client.push('team/one', subject, 'v1')
  const annotations = { 'org.example.made': 'here', empty: '' }
  const made = [
    [attach(subject.descriptor, SIGNATURE, annotations), SIGNATURE, annotations],
    [attach(subject.descriptor, SBOM), SBOM],
    [makeImage({ fields: { subject: subject.descriptor } }), MEDIA_TYPES.config],
    [attach(subject.descriptor), MEDIA_TYPES.empty],
    [makeIndex([subject], { fields: { subject: subject.descriptor, artifactType: SBOM } }), SBOM],
    [makeIndex([], { fields: { subject: subject.descriptor, annotations } }), undefined, annotations],
  ] as const
  for (const [index, [one]] of made.entries()) {
    await client.pushContents('team/one', one)
    const reference = index % 2 === 0 ? one.descriptor.digest : `tag-${index}`
    const put = await client.putManifest('team/one', reference, one)
    t.match(
      put,
      { status: 201, headers: { 'oci-subject': subject.descriptor.digest } },
      `the OCI-Subject header of ${reference} names the subject`,
    )
  }
  const { digest } = subject.descriptor
  const all = sorted(made.map(([one, type, notes]) => listed(one, type, notes)))
  t.strictSame(await referrersOf('team/one', digest), all)
  for (const type of [SIGNATURE, SBOM, MEDIA_TYPES.config, MEDIA_TYPES.empty, 'application/none']) {
    const expected = all.filter(({ artifactType }) => artifactType === type)
    const encoded = encodeURIComponent(type)
    t.strictSame(await referrersOf('team/one', digest, `?artifactType=${encoded}`), expected, type)
  }
  const image = makeImage()
  await client.pushContents('team/one', image)
  const put = await client.putManifest('team/one', 'plain', image)
  t.equal(put.headers['oci-subject'], undefined, 'a manifest without a subject has no OCI-Subject header')
  t.strictSame(await referrersOf('team/one', image.descriptor.digest), [])
})

t.test('Listing Referrers: referrers are listed whether their subject exists or not', async (t) => {
  const subject = makeImage()
  const { digest } = subject.descriptor
  const signature = attach(subject.descriptor, SIGNATURE)
  const put = await client.push('team/order', signature)
  t.equal(put.headers['oci-subject'], digest)
  const expected = [listed(signature, SIGNATURE)]
  t.strictSame(await referrersOf('team/order', digest), expected, 'before the subject is pushed')
  await client.push('team/order', subject, 'v1')
  t.strictSame(await referrersOf('team/order', digest), expected, 'while the subject exists')
  await client.send('DELETE', `/v2/team/order/manifests/${digest}`)
  t.strictSame(await referrersOf('team/order', digest), expected, 'after the subject is deleted')
  t.strictSame(await referrersOf('team/one', digest), [], 'another repository lists no referrer')
})

t.test('Listing Referrers: a deleted referrer is not listed', async (t) => {
  const subject = makeImage()
  await client.push('team/deleted', subject, 'v1')
  const { digest } = subject.descriptor
  const [first, second] = [attach(subject.descriptor, SIGNATURE), attach(subject.descriptor, SIGNATURE)]
  await client.push('team/deleted', first)
  await client.push('team/deleted', second, 'tagged')
  t.equal((await client.send('DELETE', '/v2/team/deleted/manifests/tagged')).status, 202)
  t.equal((await referrersOf('team/deleted', digest)).length, 2, 'the deletion of a tag keeps the manifest')
  for (const [gone, left] of [
    [first, [second]],
    [second, []],
  ] as const) {
    await client.send('DELETE', `/v2/team/deleted/manifests/${gone.descriptor.digest}`)
    t.strictSame(
      await referrersOf('team/deleted', digest),
      left.map((one) => listed(one, SIGNATURE)),
    )
  }
})

t.test('Listing Referrers: an invalid digest is 400', async (t) => {
  for (const digest of ['sha256:baddigeststring', 'sha256:', 'latest', digestOf('').toUpperCase()]) {
    t.match(await client.send('GET', `/v2/team/one/referrers/${digest}`), { status: 400 }, digest)
  }
})

t.test('Referrers Tag Schema: referrers from a fallback tag are listed', async (t) => {
  const subject = makeImage()
  await client.push('team/older', subject, 'v1')
  const { digest } = subject.descriptor
  const tag = digest.replace(':', '-')
  const annotations = { 'org.example.kept': 'under a tag' }
  // Without a subject of its own, as before image-spec 1.1, and with one, as newer clients push with a fallback tag.
  const old = makeImage({
    config: ['application/vnd.example.old', Buffer.from('{}')],
    layers: [randomLayer()],
  })
  const newer = attach(subject.descriptor, SBOM)
  const fallback = (...entries: object[]) => makeIndex([], { fields: { manifests: entries } })
  const oldEntry = { ...old.descriptor, artifactType: 'application/vnd.example.old', annotations }
  await client.push('team/older', old)
  await client.push('team/older', fallback(oldEntry), tag)
  t.strictSame(await referrersOf('team/older', digest), [oldEntry])
  await client.push('team/older', newer)
  await client.push('team/older', fallback(oldEntry, listed(newer, SBOM)), tag)
  t.strictSame(
    await referrersOf('team/older', digest),
    sorted([oldEntry, listed(newer, SBOM)]),
    'each referrer is listed once',
  )
  t.strictSame(await referrersOf('team/older', digest, `?artifactType=${encodeURIComponent(SBOM)}`), [
    listed(newer, SBOM),
  ])

  await client.send('DELETE', `/v2/team/older/manifests/${newer.descriptor.digest}`)
  t.strictSame(
    await referrersOf('team/older', digest),
    [oldEntry],
    'a deleted referrer is not listed, even if the tag names it',
  )
  await client.send('DELETE', `/v2/team/older/manifests/${tag}`)
  t.strictSame(
    await referrersOf('team/older', digest),
    [],
    'a deleted referrer that only the tag named is not listed',
  )
  t.equal((await client.send('HEAD', `/v2/team/older/manifests/${old.descriptor.digest}`)).status, 200)
})

t.test('Listing Referrers: a list above 1 MiB comes in pages, even with a filter', async (t) => {
  const subject = makeImage()
  await client.push('team/refs', subject, 'v1')
  const expected: string[] = []
  for (let number = 0; number < 8; number++) {
    const annotations = { note: 'x'.repeat(number < 2 ? 3_900_000 : 300_000) }
    const artifactType = number === 7 ? 'a/other' : 'a/sbom'
    const fields = { subject: subject.descriptor, artifactType, annotations }
    const made = makeImage({ layers: [], fields })
    await client.push('team/refs', made)
    if (artifactType === 'a/sbom') expected.push(made.descriptor.digest)
  }
  const seen: string[] = []
  let pages = 0
  let target: string | undefined = `/v2/team/refs/referrers/${subject.descriptor.digest}?artifactType=a/sbom`
  while (target !== undefined && pages < 20) {
    const { status, headers, json, body } = await client.send('GET', target)
    t.equal(status, 200)
    t.equal(headers['oci-filters-applied'], 'artifactType')
    t.ok(
      body.length < 4_100_000 && (json.manifests.length === 1 || body.length < 1_100_000),
      `${body.length} bytes`,
    )
    seen.push(...json.manifests.map(({ digest }: { digest: string }) => digest))
    pages += 1
    target = /^<([^>]+)>; rel="next"$/.exec(headers['link'] ?? '')?.[1]
  }
  t.strictSame(seen, expected.toSorted(), 'each referrer is listed once, in the order of digests')
  t.ok(pages >= 4, `the list has ${pages} pages`)
  const bad = `/v2/team/refs/referrers/${subject.descriptor.digest}?last=x`
  t.equal((await client.send('GET', bad)).code, 'DIGEST_INVALID')
})
