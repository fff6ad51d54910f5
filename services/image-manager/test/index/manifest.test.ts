import { createHash } from 'node:crypto'
import t from 'tap'
import type { Manifest } from '../../src/index/manifest.ts'
import { isImageIndex, parseManifest, readReferences } from '../../src/index/manifest.ts'

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

t.test(
  'an OCI image has its config and layers as references, and the config’s media type as artifact type',
  async (t) => {
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
      { digest: A, kind: 'config', size: 1 },
      { digest: B, kind: 'layer', size: 1 },
      { digest: C, kind: 'layer', size: 1 },
    ])
  },
)

for (const type of [OCI_INDEX, DOCKER_LIST]) {
  t.test(`${type} has its manifests as references, and no artifact type from a config`, async (t) => {
    const list = { manifests: [descriptor(A), descriptor(B)], config: descriptor(C, 'x/y') }
    t.ok(isImageIndex(type))
    const { references, artifactType } = parsed(list, type)
    t.equal(artifactType, undefined)
    t.same(
      references.filter(({ kind }) => kind === 'manifest').map(({ digest }) => digest),
      [A, B],
    )
  })
}

for (const type of [OCI_MANIFEST, DOCKER_MANIFEST, 'application/json', '']) {
  t.notOk(isImageIndex(type), `${type || 'no type'} is not an image index`)
}

t.test('a Docker image is parsed like an OCI image', async (t) => {
  const { references } = parsed({ config: descriptor(A), layers: [descriptor(B)] }, DOCKER_MANIFEST)
  t.same(references, [
    { digest: A, kind: 'config', size: 1 },
    { digest: B, kind: 'layer', size: 1 },
  ])
})

t.test('an artifact’s own type has precedence over the config’s, and its blobs are layers', async (t) => {
  const { artifactType, references } = parsed({
    artifactType: 'application/spdx+json',
    config: descriptor(A, 'application/vnd.oci.empty.v1+json'),
    blobs: [descriptor(B)],
  })
  t.equal(artifactType, 'application/spdx+json')
  t.same(references[1], { digest: B, kind: 'layer', size: 1 })
  t.equal(
    parsed({ artifactType: '', config: descriptor(A, 'x/y') }).artifactType,
    'x/y',
    'an empty artifact type counts as absent',
  )
  t.equal(
    parsed({ artifactType: 'x/y' }, OCI_INDEX).artifactType,
    'x/y',
    'an image index may have an artifact type',
  )
})

t.test('a repeated layer is one reference; a digest in two roles is two references', async (t) => {
  const { references } = parsed({ config: descriptor(A), layers: [A, A, B, A].map((one) => descriptor(one)) })
  t.same(references, [
    { digest: A, kind: 'config', size: 1 },
    { digest: A, kind: 'layer', size: 1 },
    { digest: B, kind: 'layer', size: 1 },
  ])
})

t.test('the digest of a manifest covers its bytes with all white space', async (t) => {
  const raw = Buffer.from('{ "layers" : [ ] }\r\n')
  const result = parseManifest(raw, OCI_MANIFEST)
  if ('malformed' in result) throw new Error(result.malformed)
  t.equal(result.manifest.digest, `sha256:${createHash('sha256').update(raw).digest('hex')}`)
  t.equal(result.manifest.raw, raw)
})

t.test('parameters of the Content-Type are not part of the media type', async (t) => {
  t.equal(parsed({}, ` ${OCI_INDEX} ; charset=utf-8`).mediaType, OCI_INDEX)
})

t.test('a subject may have a sha256 or a sha512 digest', async (t) => {
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
  t.test(`${JSON.stringify(text)} is not a manifest`, async (t) => {
    t.match(parseManifest(Buffer.from(text), OCI_MANIFEST), { malformed: String })
  })
}

t.test('values that are not descriptors or not lists are ignored', async (t) => {
  const layers = [null, 1, 'x', [], {}, descriptor('sha256:x'), descriptor(A)]
  t.same(parsed({ layers, manifests: {}, blobs: 'x', config: [] }).references, [
    { digest: A, kind: 'layer', size: 1 },
  ])
})

t.test('annotations are the string values under any key', async (t) => {
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

// Postgres has them neither in text nor in jsonb: the push would get 503 for ever.
for (const text of ['a\0b', '\ud800']) {
  for (const manifest of [
    { annotations: { a: text } },
    { annotations: { [text]: 'a' } },
    { artifactType: text },
  ]) {
    t.test(`${JSON.stringify(manifest)} is malformed, because Postgres cannot store it`, async (t) => {
      t.match(parseManifest(bytes(manifest), OCI_MANIFEST), { malformed: String })
    })
  }
}

// Go's encoding/json, which the registry reads with, takes each of these for the field; JSON.parse takes none.
const OTHER_CASE: Readonly<Record<string, readonly [manifest: string, key: string]>> = {
  'a list': ['{"Layers":[]}', 'Layers'],
  'a type': ['{"mediatype":"x"}', 'mediatype'],
  'a long s': ['{"layer\u017f":[]}', 'layer\u017f'],
  'a long s, escaped': [String.raw`{"layer\u017f":[]}`, 'layer\u017f'],
  'a Kelvin sign': ['{"blob\u017f":[],"config":{"p\u212A":1}}', 'blob\u017f'],
  'a descriptor’s digest': ['{"layers":[{"Digest":"x"}]}', 'Digest'],
  'a descriptor’s size, after many': [`{"layers":[${'{},'.repeat(99)}{"SIZE":1}]}`, 'SIZE'],
  'the config’s type': ['{"config":{"MediaType":"x"}}', 'MediaType'],
  'the subject’s': ['{"subject":{"Digest":"x"}}', 'Digest'],
  'a platform’s': ['{"manifests":[{"platform":{"OS":"linux"}}]}', 'OS'],
}
for (const [what, [text, key]] of Object.entries(OTHER_CASE)) {
  t.test(`a key that differs from a field's by case is refused and named: ${what}`, async (t) => {
    const result = parseManifest(Buffer.from(text), OCI_MANIFEST)
    t.match(result, { malformed: key })
  })
}

t.test('keys of annotations are arbitrary, and text that looks like a key is not one', async (t) => {
  const text = String.raw`{"annotations":{"Layers":"1","layers":"2","LAYERS":"{\"Config\":\\"},"layers":[],"x":{"Config":1}}`
  t.same(Object.keys(parsed(JSON.parse(text)).annotations ?? {}), ['Layers', 'layers', 'LAYERS'])
})

for (const text of [
  '{"layers":[],"layers":[]}',
  String.raw`{"layers":[],"\u006cayers":[]}`,
  '{"config":{"digest":"x","digest":"y"}}',
  '{"annotations":{"a":"1","a":"2"}}',
]) {
  t.test(`a duplicate key is refused: ${text}`, async (t) => {
    t.match(parseManifest(Buffer.from(text), OCI_MANIFEST), { malformed: /duplicate key/ })
  })
}

for (const bytes of [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]) {
  t.test(`bytes that are not UTF-8 are refused: ${bytes.map((byte) => byte.toString(16))}`, async (t) => {
    const raw = Buffer.concat([Buffer.from('{"annotations":{"a":"'), Buffer.from(bytes), Buffer.from('"}}')])
    t.match(parseManifest(raw, OCI_MANIFEST), { malformed: /UTF-8/ })
  })
}

const many = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    mediaType: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
    digest: `sha256:${at.toString(16).padStart(64, '0')}`,
    size: 1,
    urls: [`https://layers.test/${at}`],
  }))
const TOO_MANY: Readonly<Record<string, readonly [manifest: unknown, type: string]>> = {
  '16,383 foreign layers': [{ layers: many(16_383) }, DOCKER_MANIFEST],
  '4,096 layers and a config': [{ config: descriptor(A), layers: many(4096) }, OCI_MANIFEST],
  'an image index of 4,097 manifests': [{ manifests: many(4097) }, OCI_INDEX],
  'an artifact of 4,097 blobs': [{ blobs: many(4097) }, OCI_MANIFEST],
  'half layers, half manifests, and a subject': [
    { layers: many(2048), manifests: many(2048), subject: descriptor(A) },
    OCI_INDEX,
  ],
  'descriptors in a field of the client’s own': [{ layers: [], more: { of: many(4097) } }, OCI_MANIFEST],
  '4,097 empty objects': [{ layers: many(4097).map(() => ({})) }, OCI_MANIFEST],
  'the same descriptor 4,097 times': [{ layers: many(4097).map(() => descriptor(A)) }, OCI_MANIFEST],
}
for (const [what, [manifest, type]] of Object.entries(TOO_MANY)) {
  t.test(`a manifest with more than 4,096 descriptors is refused: ${what}`, async (t) => {
    t.match(parseManifest(bytes(manifest), type), { malformed: /4096 descriptors/ })
  })
}

t.test('a manifest may have 4,096 descriptors', async (t) => {
  t.equal(parsed({ layers: many(4096) }).references.length, 4096)
})

t.test('JSON with too many levels or too many objects is refused', async (t) => {
  const deep = `{"a":${'['.repeat(2e6)}${']'.repeat(2e6)}}`
  t.match(parseManifest(Buffer.from(deep), OCI_MANIFEST), { malformed: /levels of nesting/ })
  const wide = `{"a":[${'{},'.repeat(100_000)}{}]}`
  t.match(parseManifest(Buffer.from(wide), OCI_MANIFEST), { malformed: /objects and lists/ })
})

t.test(
  'the media type of an image index’s entry decides whether it is a manifest or a blob (BuildKit’s cache)',
  async (t) => {
    const { references } = parsed(
      {
        manifests: [
          descriptor(A, 'application/vnd.oci.image.layer.v1.tar+gzip'),
          descriptor(B, 'application/vnd.buildkit.cacheconfig.v0'),
          descriptor(C, OCI_MANIFEST),
          descriptor(A, DOCKER_LIST),
        ],
      },
      OCI_INDEX,
    )
    t.same(
      references.map(({ digest, kind }) => [digest, kind]),
      [
        [A, 'layer'],
        [B, 'layer'],
        [C, 'manifest'],
        [A, 'manifest'],
      ],
    )
  },
)

t.test('a size that is not a whole number of bytes is unknown', async (t) => {
  const sizes = [0, 5, 2 ** 53 - 1, -1, 1.5, 2 ** 63, '7', null, undefined]
  const layers = sizes.map((size, at) => ({ digest: `sha256:${String(at).repeat(64)}`, size }))
  t.same(
    parsed({ layers }).references.map(({ size }) => size),
    [0, 5, 2 ** 53 - 1, null, null, null, null, null, null],
  )
})

t.test('a layer with urls is marked as stored elsewhere', async (t) => {
  t.same(parsed({ layers: [descriptor(A), { ...descriptor(B), urls: ['https://x.test'] }] }).references, [
    { digest: A, kind: 'layer', size: 1 },
    { digest: B, kind: 'layer', size: 1, isElsewhere: true },
  ])
})

t.test('the references of a stored manifest are read even if the manifest would be refused', async (t) => {
  const text = JSON.stringify({ layers: many(5000), Layers: [], note: '?' }).replace('?', '\u00ff')
  t.equal(readReferences(Buffer.from(text, 'latin1')).length, 5000)
  for (const raw of ['', '[]', 'x']) t.same(readReferences(Buffer.from(raw)), [])
})
