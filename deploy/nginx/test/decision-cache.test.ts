import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { send } from './fixtures/client.ts'
import type { ClientRequest } from './fixtures/client.ts'
import { startIngress } from './fixtures/ingress.ts'
import type { Location } from './fixtures/locating-proxy.ts'
import { locateAsRequested, locatingProxy } from './fixtures/locating-proxy.ts'
import { createVolume } from '@registry-manager/testing/registry-volume'

const TOKEN = { authorization: 'Bearer c2VjcmV0' }
const volume = createVolume(t)
const digest = volume.store('content')
volume.link('team/app', 'blobs', digest)
const BLOB = `/v2/team/app/blobs/${digest}`

const repeatable: Location = {
  headers: { ...locateAsRequested({ url: BLOB } as never).headers, 'x-accel-expires': '1' },
}
let located = repeatable
const received: string[] = []
const startWith = (variables: Record<string, string> = {}) =>
  startIngress(t, {
    authorizes: true,
    services: { 'registry-proxy': [locatingProxy(() => located, received)] },
    variables: { CONTENT_FROM: 'volume', REGISTRY_VOLUME: volume.folder, ...variables },
  })
const ingress = await startWith()
const read = (request: Partial<ClientRequest> = {}) =>
  send(ingress, { path: BLOB, plain: true, ...request, headers: { ...TOKEN, ...request.headers } })

t.beforeEach(async () => {
  located = repeatable
  // Longer than a decision is valid.
  await sleep(2100)
  received.length = 0
})

t.test('nginx repeats a positive decision for less than 2 s', async (t) => {
  for (let number = 0; number < 50; number += 1) t.match(await read(), { status: 200, text: 'content' })
  t.ok(received.length <= 5, `registry-proxy decided ${received.length} times`)
  located = { status: 401 }
  await sleep(2000)
  received.length = 0
  t.match((await read()).json, { service: 'registry-proxy' })
  t.same(received, [`locate GET ${BLOB}`, `forward GET ${BLOB}`])
})

t.test('nginx repeats a decision only for the same token, method and target', async (t) => {
  for (let number = 0; number < 4; number += 1) await read()
  located = { status: 403 }
  for (const request of [
    { headers: { authorization: 'Bearer b3RoZXI' } },
    { method: 'HEAD' },
    { path: `${BLOB}?n=1` },
    { path: BLOB.replace('sha256:', 'sha256%3A') },
    { path: BLOB.replace('team/app', 'team/other') },
  ]) {
    received.length = 0
    await read(request)
    t.equal(received.length, 2, JSON.stringify(request))
  }
})

t.test('nginx never repeats a refusal, or a decision that may not be repeated', async (t) => {
  const { headers: once } = locateAsRequested({ url: BLOB } as never)
  for (const location of [
    { headers: once },
    { headers: { ...once, 'x-accel-expires': '0' } },
    { headers: { ...once, 'cache-control': 'max-age=60', expires: 'Thu, 01 Jan 2099 00:00:00 GMT' } },
    { status: 204 },
    { status: 401, headers: { 'x-accel-expires': '0' } },
    { status: 404 },
    { status: 500 },
  ]) {
    located = location
    received.length = 0
    for (let number = 0; number < 4; number += 1) await read()
    const questions = received.filter((line) => line.startsWith('locate'))
    t.equal(questions.length, 4, JSON.stringify(location))
  }
})

t.test('the files of decisions are in their own folder, which only nginx can read', async (t) => {
  for (let number = 0; number < 4; number += 1) await read()
  const folder = join(ingress.folder, 'decisions')
  const files = (await filesBelow(folder)).filter((file) => readFileSync(file, 'latin1').includes('c2VjcmV0'))
  t.equal(files.length, 1)
  t.equal(statSync(files[0] ?? '').mode & 0o077, 0)
  const others = (await filesBelow(ingress.folder)).filter((file) => !file.startsWith(folder))
  for (const file of others) t.notMatch(readFileSync(file, 'latin1'), /c2VjcmV0/, file)
  await sleep(6000)
  t.same(await filesBelow(folder), [], 'nginx removes decisions that nobody needs')
})

t.test('nginx stores no decision with DECISION_CACHE=off', async (t) => {
  const without = await startWith({ DECISION_CACHE: 'off' })
  received.length = 0
  for (let number = 0; number < 4; number += 1) {
    t.match(await send(without, { path: BLOB, headers: TOKEN }), { status: 200, text: 'content' })
  }
  t.equal(received.length, 4)
  t.same(await filesBelow(join(without.folder, 'decisions')), [])
})

async function filesBelow(folder: string): Promise<string[]> {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
}
