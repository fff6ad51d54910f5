import type { Database } from '@registry-manager/database'
import t from 'tap'
import { onBothDatabases } from '@registry-manager/testing/both-databases'
import { createTaggedManifestsRepository } from '../../src/index/tagged-manifests-repository.ts'

type Contents = Readonly<Record<string, Buffer>>

/** Inserts a repository with these tags; a manifest's digest is made from its bytes. Returns the repository's id. */
async function put(db: Database, name: string, tags: Contents): Promise<string> {
  const { id } = await db
    .insertInto('repositories')
    .values({ name })
    .returning('id')
    .executeTakeFirstOrThrow()
  const digestOf = (raw: Buffer) => `sha256:${raw.toString('hex').slice(0, 64)}`
  const manifests = new Map(Object.values(tags).map((raw) => [digestOf(raw), raw]))
  for (const [digest, raw] of manifests)
    await db.insertInto('manifests').values({ repository_id: id, digest, media_type: 'x/y', raw }).execute()
  const rows = Object.entries(tags).map(([name, raw]) => ({ repository_id: id, name, digest: digestOf(raw) }))
  for (let at = 0; at < rows.length; at += 500)
    await db
      .insertInto('tags')
      .values(rows.slice(at, at + 500))
      .execute()
  return id
}

void onBothDatabases(t, async (t, db) => {
  const { readTaggedManifests } = createTaggedManifestsRepository(db)
  const readAll = async (...ids: string[]) => (await Array.fromAsync(readTaggedManifests(ids))).flat()

  await t.test(
    'tags of several repositories come in the requested order, even if it takes several statements to read them',
    async (t) => {
      const numbered = (prefix: string, count: number) =>
        Array.from({ length: count }, (_, at) => `${prefix}${String(at).padStart(5, '0')}`)
      const contentsOf = (names: readonly string[]): Contents =>
        Object.fromEntries(names.map((name, at) => [name, Buffer.from(`{"n":${at % 7}}`)]))
      const [many, few, exactly] = [numbered('m', 4500), numbered('f', 3), numbered('e', 2000)]
      const ids = {
        many: await put(db, 'order/many', contentsOf(many)),
        few: await put(db, 'order/few', contentsOf(few)),
        none: await put(db, 'order/none', {}),
        exactly: await put(db, 'order/exactly', contentsOf(exactly)),
      }
      const expected = (id: string, names: readonly string[]) =>
        names.map((name, at) => ({ repositoryId: id, name, manifest: `{"n":${at % 7}}` }))
      const [ofMany, ofFew] = [expected(ids.many, many), expected(ids.few, few)]
      const ofExactly = expected(ids.exactly, exactly)
      t.same(await readAll(ids.many), ofMany)
      t.same(await readAll(ids.exactly), ofExactly)
      t.same(await readAll(ids.few, ids.many, ids.none, ids.exactly), [...ofFew, ...ofMany, ...ofExactly])
      t.same(await readAll(ids.exactly, ids.none, ids.many, ids.few), [...ofExactly, ...ofMany, ...ofFew])
      t.same(await readAll(ids.none), [])
      t.same(await readAll(), [])
    },
  )

  await t.test('eight repositories of 900 tags each are read completely and in order', async (t) => {
    const tags = Object.fromEntries(Array.from({ length: 900 }, (_, at) => [`t${at}`, Buffer.from('{}')]))
    const ids: string[] = []
    for (let at = 0; at < 8; at += 1) ids.push(await put(db, `many/${at}`, at === 3 ? {} : tags))
    const names = Object.keys(tags).toSorted()
    const expected = ids.flatMap((id, at) => (at === 3 ? [] : names.map((name) => `${id} ${name}`)))
    const read = await readAll(...ids)
    t.same(
      read.map(({ repositoryId, name }) => `${repositoryId} ${name}`),
      expected,
    )
  })

  await t.test('the bytes of a manifest are decoded as UTF-8, valid or not', async (t) => {
    const cases: Contents = {
      backslashes: Buffer.from(String.raw`{"a":"\"\\ \\377 \u00e4"}`),
      text: Buffer.from('{"a":"äöü – 漢字 🐋"}\n\t'),
      'text and a backslash': Buffer.from(String.raw`{"ä":"\"é\\"}`),
      invalid: Buffer.from([0x7b, 0xff, 0xc3, 0x28, 0x5c, 0x80, 0x7d]),
      every: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    }
    const id = await put(db, 'bytes/app', cases)
    const read = new Map((await readAll(id)).map(({ name, manifest }) => [name, manifest]))
    for (const [name, raw] of Object.entries(cases)) t.equal(read.get(name), raw.toString('utf8'), name)
  })

  await t.test('a portion has at most 256 KiB of manifests, or one manifest', async (t) => {
    const filled = (kibibytes: number, byte: string) => Buffer.alloc(kibibytes * 1024, byte)
    const tags = { a: filled(100, 'a'), b: filled(100, 'b'), c: filled(100, 'c'), d: filled(500, 'd') }
    const again = { e: tags.d, f: filled(1, 'f'), g: filled(255, 'g'), h: filled(1, 'h') }
    const id = await put(db, 'large/app', { ...tags, ...again })
    const portions = await Array.fromAsync(readTaggedManifests([id]))
    const names = portions.map((some) => some.map(({ name }) => name).join(''))
    t.same(names, ['ab', 'c', 'd', 'e', 'fg', 'h'])
  })

  await t.test('a manifest that is deleted while tags are read is left out', async (t) => {
    const tags = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, Buffer.alloc(200 * 1024, name)]))
    const id = await put(db, 'deleted/app', tags)
    const reading = readTaggedManifests([id])
    const first = await reading.next()
    await db
      .deleteFrom('manifests')
      .where('digest', '=', `sha256:${'62'.repeat(32)}`)
      .execute()
    const rest = (await Array.fromAsync(reading)).flat()
    t.same(
      [...(first.value ?? []), ...rest].map(({ name }) => name),
      ['a', 'c'],
    )
  })
})
