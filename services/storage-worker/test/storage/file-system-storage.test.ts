import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { createVolume } from '@registry-manager/testing/registry-volume'
import type { Test } from 'tap'
import t from 'tap'
import { createFileSystemStorage } from '../../src/storage/file-system-storage.ts'
import { TIME_IS_OVER } from '../../src/storage/storage.ts'
import { listed } from '../fixtures/listed.ts'
import { timeFor } from '../fixtures/removal-time.ts'

const ABSENT = `sha256:${'0'.repeat(64)}`

function create(t: Test, mayBlock = false) {
  const volume = createVolume(t)
  const root = join(volume.folder, 'docker/registry/v2')
  return { ...volume, root, storage: createFileSystemStorage(volume.folder, { mayBlock }) }
}

for (const [how, mayBlock] of [
  ['in the background', false],
  ['blocking', true],
] as const) {
  t.test(`a blob is removed with its folder, and others stay, ${how}`, async (t) => {
    const { store, dataOf, storage } = create(t, mayBlock)
    const [gone, kept] = [store('gone'), store('it stays')]
    const outcome = await storage.removeBlobs([gone, ABSENT], timeFor())
    t.same(outcome.failed, [])
    t.same(
      new Map(outcome.removed.map(({ digest, bytes }) => [digest, bytes])),
      new Map([
        [gone, 4],
        [ABSENT, null],
      ]),
      'a digest without data counts as removed',
    )
    t.notOk(existsSync(dirname(dataOf(gone))))
    t.equal(await readFile(dataOf(kept), 'utf8'), 'it stays')
  })

  t.test(`the folder that a crash left behind is removed by the next claim, ${how}`, async (t) => {
    const { store, dataOf, storage } = create(t, mayBlock)
    const digest = store('some')
    await rm(dataOf(digest))
    t.same(await storage.removeBlobs([digest], timeFor()), {
      removed: [{ digest, bytes: null }],
      failed: [],
      unknown: [],
    })
    t.notOk(existsSync(dirname(dataOf(digest))))
  })

  t.test(`nothing is removed once the time is over, ${how}`, async (t) => {
    const { store, dataOf, storage } = create(t, mayBlock)
    const digests = Array.from({ length: 20 }, (_, index) => store(`blob ${index}`))
    // Each removal looks at the time twice.
    const { removed, failed } = await storage.removeBlobs(digests, timeFor(10))
    t.ok(removed.length > 0 && removed.length <= 5)
    t.equal(removed.length + failed.length, 20)
    for (const { digest } of removed) t.notOk(existsSync(dataOf(digest)))
    for (const { digest, reason } of failed) {
      t.equal(reason, TIME_IS_OVER)
      t.ok(existsSync(dataOf(digest)))
    }
  })

  t.test(
    `data that was removed too late, because the process was suspended, comes back, ${how}`,
    async (t) => {
      const { store, dataOf, storage } = create(t, mayBlock)
      const digest = store('pushed again in the meantime')
      t.same(await storage.removeBlobs([digest], timeFor(1)), {
        removed: [],
        failed: [{ digest, reason: TIME_IS_OVER }],
        unknown: [],
      })
      t.equal(await readFile(dataOf(digest), 'utf8'), 'pushed again in the meantime')
      t.same(await readdir(dirname(dataOf(digest))), ['data'])
    },
  )

  t.test(`data that a killed worker has renamed is removed by the next claim, ${how}`, async (t) => {
    const { store, dataOf, storage } = create(t, mayBlock)
    const digest = store('some')
    await rename(dataOf(digest), join(dirname(dataOf(digest)), 'removed'))
    t.match(await storage.removeBlobs([digest], timeFor()), {
      removed: [{ digest, bytes: null }],
      failed: [],
    })
    t.notOk(existsSync(dirname(dataOf(digest))))
  })

  t.test(`a failure of one digest does not stop the others, ${how}`, async (t) => {
    const { store, dataOf, storage } = create(t, mayBlock)
    const [bad, good] = [store('bad'), store('good')]
    await rm(dataOf(bad))
    await mkdir(dataOf(bad))
    const { removed, failed } = await storage.removeBlobs([bad, `sha256:../../../etc`, good], timeFor())
    t.match(removed, [{ digest: good }])
    const byDigest = failed.toSorted((one, other) => (one.digest < other.digest ? -1 : 1))
    t.match(byDigest, [
      { digest: `sha256:../../../etc`, reason: /is not a digest/ },
      { digest: bad, reason: /is not a regular file/ },
    ])
  })

  t.test(`nothing is removed through a symbolic link, ${how}`, async (t) => {
    const { store, dataOf, folder, root, storage } = create(t, mayBlock)
    const outside = join(folder, 'outside')
    await mkdir(outside)
    const secret = join(outside, 'data')
    await writeFile(secret, 'not ours')

    await t.test('in place of the folder of a blob', async (t) => {
      const digest = store('by folder')
      await rename(dirname(dataOf(digest)), join(folder, 'moved'))
      await symlink(outside, dirname(dataOf(digest)))
      const { failed } = await storage.removeBlobs([digest], timeFor())
      t.match(failed, [{ digest, reason: /through a symbolic link/ }])
    })
    await t.test('in place of a folder above it', async (t) => {
      const digest = store('by prefix')
      const prefix = dirname(dirname(dataOf(digest)))
      await rename(prefix, join(folder, 'prefix'))
      await symlink(join(folder, 'prefix'), prefix)
      const { failed } = await storage.removeBlobs([digest], timeFor())
      t.match(failed, [{ digest, reason: /through a symbolic link/ }])
    })
    await t.test('in place of the data', async (t) => {
      const digest = store('by data')
      await rm(dataOf(digest))
      await symlink(secret, dataOf(digest))
      const { failed } = await storage.removeBlobs([digest], timeFor())
      t.match(failed, [{ digest, reason: /is not a regular file/ }])
    })
    t.equal(await readFile(secret, 'utf8'), 'not ours')
    t.ok(existsSync(root))
  })
}

t.test('the volume itself may be a symbolic link', async (t) => {
  const { store, dataOf, folder } = create(t)
  const digest = store('some')
  await symlink(folder, `${folder}-link`)
  t.teardown(() => rm(`${folder}-link`))
  const { removed } = await createFileSystemStorage(`${folder}-link`).removeBlobs([digest], timeFor())
  t.match(removed, [{ digest, bytes: 4 }])
  t.notOk(existsSync(dataOf(digest)))
})

t.test('in a volume without blobs every removal fails: it may not be mounted', async (t) => {
  const storage = createFileSystemStorage(t.testdir())
  const { removed, failed } = await storage.removeBlobs([ABSENT], timeFor())
  t.same(removed, [])
  t.match(failed, [{ digest: ABSENT, reason: /ENOENT/ }])
})

t.test('the listing has all blobs, links and uploads, in nested repositories, too', async (t) => {
  const { store, link, dataOf, root, storage } = create(t)
  const [layer, manifest, alone] = [store('layer'), store('manifest'), store('nobody links it')]
  link('team/app', 'blobs', layer)
  link('team/app', 'manifests', manifest)
  link('team/app/deeper/still', 'blobs', layer)
  const unlinked = link('team/app', 'blobs', alone)
  await rm(unlinked)
  const hex = createHash('sha512').update('layer').digest('hex')
  const other = join(root, 'repositories/team/other')
  await mkdir(join(other, `_layers/sha512/${hex}`), { recursive: true })
  await writeFile(join(other, `_layers/sha512/${hex}/link`), layer)
  await mkdir(join(other, '_uploads/one'), { recursive: true })
  await writeFile(join(other, '_uploads/one/data'), 'half of it')
  await mkdir(join(other, '_uploads/two'))
  // The trash is in the index: a database that is older than an entry does not keep the data of the entry.
  link('registry-manager-trash/one', 'blobs', alone)
  link('registry-manager-trash/one', 'manifests', alone)
  // Files that an interrupted removal and another program leave.
  await mkdir(join(root, 'blobs/sha256/aa', 'a'.repeat(64)), { recursive: true })
  await mkdir(join(root, 'blobs/sha256/tmp'), { recursive: true })
  await writeFile(join(root, 'repositories/notes.txt'), 'a file')
  t.ok(existsSync(dataOf(alone)))
  t.same(await listed(storage), {
    blobs: { [layer]: 5, [manifest]: 8, [alone]: 15 },
    links: [layer, layer, layer, manifest, `sha512:${hex}`].toSorted(),
    uploads: { count: 2, bytes: 10 },
  })
})

t.test('a new registry is listed as empty', async (t) => {
  const nothing = { blobs: {}, links: [], uploads: { count: 0, bytes: 0 } }
  t.same(await listed(createFileSystemStorage(t.testdir())), nothing)
})

t.test('a listing that would be incomplete fails', async (t) => {
  await t.test('at a symbolic link', async (t) => {
    for (const place of [
      'repositories/team',
      'repositories/own/_layers',
      'repositories/own/_manifests/revisions',
    ]) {
      const { store, link, folder, root, storage } = create(t)
      link('own', 'blobs', store('a'))
      const path = join(root, place)
      await mkdir(dirname(path), { recursive: true })
      await rm(path, { recursive: true, force: true })
      await symlink(folder, path)
      await t.rejects(listed(storage), /is a symbolic link: move its target into the volume/, place)
    }
  })
  await t.test('without the folder of repositories', async (t) => {
    const { store, storage } = create(t)
    store('a')
    await t.rejects(listed(storage), /repositories does not exist, but the storage has blobs/)
  })
  await t.test(
    'at a folder that cannot be read',
    { skip: process.getuid?.() === 0 && 'root reads it' },
    async (t) => {
      const { store, link, root, storage } = create(t)
      link('own', 'blobs', store('a'))
      await chmod(join(root, 'repositories/own'), 0)
      await t.rejects(listed(storage), /EACCES/)
      await chmod(join(root, 'repositories/own'), 0o755)
    },
  )
})

t.test('a listing stops when the worker stops, and closes its folders', async (t) => {
  const { store, link, storage } = create(t)
  for (let at = 0; at < 10; at += 1) link(`team/app${at}`, 'blobs', store(`layer ${at}`))
  const before = (await readdir('/proc/self/fd').catch(() => [])).length
  const controller = new AbortController()
  const list = async () => {
    for await (const _ of storage.listRepositories(controller.signal)) controller.abort(new Error('stopping'))
  }
  await t.rejects(list(), /stopping/)
  const after = (await readdir('/proc/self/fd').catch(() => [])).length
  t.ok(after <= before, `${before} files were open, now ${after}`)
})

t.test('the check fails for a folder that does not exist', async (t) => {
  await createFileSystemStorage(t.testdir()).check()
  await t.rejects(createFileSystemStorage(join(t.testdir(), 'missing')).check(), { code: 'ENOENT' })
})
