import { createHash } from 'node:crypto'
import t from 'tap'
import type { Manifest } from '../../src/domain/manifest.ts'
import { isIndex, parseManifest } from '../../src/domain/manifest.ts'

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
const OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
const DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json'
const [A, B, C] = ['a', 'b', 'c'].map((letter) => `sha256:${letter.repeat(64)}`)

const descriptor = (digest: unknown, mediaType?: unknown) => ({ mediaType, digest, size: 1 })
const bytes = (value: unknown) => Buffer.from(JSON.stringify(value))

function parsed(value: unknown, type = OCI_MANIFEST): Manifest {
  const result = parseManifest(bytes(value), type)
  if ('malformed' in result) throw new Error(result.malformed)
  return result.manifest
}

t.test('an OCI image: its config and layers, and the config’s type as the artifact’s', async (t) => {
  const { mediaType, artifactType, subject, annotations, references } = parsed({
    schemaVersion: 2,
    config: descriptor(A, 'application/vnd.oci.image.config.v1+json'),
    layers: [descriptor(B), descriptor(C)],
  })
  t.equal(mediaType, OCI_MANIFEST)
  t.equal(artifactType, 'application/vnd.oci.image.config.v1+json')
  t.equal(subject, undefined)
  t.equal(annotations, undefined)
  t.same(references, [
    { digest: A, kind: 'config' },
    { digest: B, kind: 'layer' },
    { digest: C, kind: 'layer' },
  ])
})

for (const type of [OCI_INDEX, DOCKER_LIST]) {
  t.test(`${type}: its manifests, and no artifact type of a config`, async (t) => {
    const list = { manifests: [descriptor(A), descriptor(B)], config: descriptor(C, 'x/y') }
    t.ok(isIndex(type))
    const { references, artifactType } = parsed(list, type)
    t.equal(artifactType, undefined)
    t.same(
      references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest),
      [A, B],
    )
  })
}

for (const type of [OCI_MANIFEST, DOCKER_MANIFEST, 'application/json', '']) {
  t.notOk(isIndex(type), `${type || 'no type'} is no index`)
}

t.test('a Docker image is read as an OCI one', async (t) => {
  const { references } = parsed({ config: descriptor(A), layers: [descriptor(B)] }, DOCKER_MANIFEST)
  t.same(references, [
    { digest: A, kind: 'config' },
    { digest: B, kind: 'layer' },
  ])
})

t.test('an artifact: its own type before the config’s; blobs count as layers', async (t) => {
  const { artifactType, references } = parsed({
    artifactType: 'application/spdx+json',
    config: descriptor(A, 'application/vnd.oci.empty.v1+json'),
    blobs: [descriptor(B)],
  })
  t.equal(artifactType, 'application/spdx+json')
  t.same(references[1], { digest: B, kind: 'layer' })
  t.equal(parsed({ artifactType: '', config: descriptor(A, 'x/y') }).artifactType, 'x/y', 'empty is none')
  t.equal(parsed({ artifactType: 'x/y' }, OCI_INDEX).artifactType, 'x/y', 'an index has one too')
})

t.test('one layer named twice is one; one digest in two roles is two', async (t) => {
  const { references } = parsed({ config: descriptor(A), layers: [A, A, B, A].map((one) => descriptor(one)) })
  t.same(references, [
    { digest: A, kind: 'config' },
    { digest: A, kind: 'layer' },
    { digest: B, kind: 'layer' },
  ])
})

t.test('the digest is that of the bytes, spaces and all', async (t) => {
  const raw = Buffer.from('{ "layers" : [ ] }\r\n')
  const result = parseManifest(raw, OCI_MANIFEST)
  if ('malformed' in result) throw new Error(result.malformed)
  t.equal(result.manifest.digest, `sha256:${createHash('sha256').update(raw).digest('hex')}`)
  t.equal(result.manifest.raw, raw)
})

t.test('parameters of the content type are no part of the media type', async (t) => {
  t.equal(parsed({}, ` ${OCI_INDEX} ; charset=utf-8`).mediaType, OCI_INDEX)
})

t.test('a subject, by sha256 or sha512', async (t) => {
  const sha512 = `sha512:${'d'.repeat(128)}`
  t.equal(parsed({ subject: descriptor(A) }).subject, A)
  t.equal(parsed({ subject: descriptor(sha512) }).subject, sha512)
})

for (const subject of [null, 'x', [], {}, descriptor('sha256:x'), descriptor(1), descriptor(`${A}0`)]) {
  t.test(`a subject that is ${JSON.stringify(subject)} is malformed`, async (t) => {
    t.match(parseManifest(bytes({ subject }), OCI_MANIFEST), { malformed: /subject/ })
  })
}

for (const text of ['', ' ', '{', '[]', 'null', '1', '"a"', '{}{}', "{'a':1}", '\ufeff{}', '{"a":1,}']) {
  t.test(`${JSON.stringify(text)} is no manifest`, async (t) => {
    t.match(parseManifest(Buffer.from(text), OCI_MANIFEST), { malformed: String })
  })
}

t.test('what is no descriptor is passed over, and what is no list', async (t) => {
  const layers = [null, 1, 'x', [], {}, descriptor('sha256:x'), descriptor(A)]
  t.same(parsed({ layers, manifests: {}, blobs: 'x', config: [] }).references, [{ digest: A, kind: 'layer' }])
})

t.test('annotations: texts alone, whatever they are called', async (t) => {
  const raw = Buffer.from('{"annotations":{"a":"1","b":2,"__proto__":"3","":"4"}}')
  const result = parseManifest(raw, OCI_MANIFEST)
  if ('malformed' in result) throw new Error(result.malformed)
  t.same(Object.entries(result.manifest.annotations ?? {}), [
    ['a', '1'],
    ['__proto__', '3'],
    ['', '4'],
  ])
  t.equal(parsed({ annotations: ['a'] }).annotations, undefined)
})

// Postgres has them neither in text nor in jsonb: the push would be answered 503 for ever.
for (const text of ['a\0b', '\ud800']) {
  for (const manifest of [
    { annotations: { a: text } },
    { annotations: { [text]: 'a' } },
    { artifactType: text },
  ]) {
    t.test(`${JSON.stringify(manifest)} is malformed: it could not be written down`, async (t) => {
      t.match(parseManifest(bytes(manifest), OCI_MANIFEST), { malformed: String })
    })
  }
}
