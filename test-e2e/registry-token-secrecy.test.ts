import { readFile, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { until } from '@registry-manager/testing/until'
import { registryTokens, scope } from './harness/registry-tokens.ts'
import { pushSmallImage } from './harness/small-image.ts'
import { basic, startSystem, tokenFor } from './harness/system.ts'

/** Returns the files below a folder that contain one of the texts, and all searched files. */
async function search(folder: string, texts: readonly string[]) {
  const [found, looked] = [[] as string[], [] as string[]]
  for (const name of await readdir(folder, { recursive: true })) {
    const path = join(folder, name)
    if (!(await stat(path)).isFile()) continue
    looked.push(name)
    const content = await readFile(path)
    if (texts.some((text) => content.includes(text))) found.push(name)
  }
  return { found, looked }
}

t.test("a registry token's password is in no log of any service, and in no file", async (t) => {
  const system = await startSystem(t, { env: { LOG_LEVEL: 'trace' } })
  const tokens = await registryTokens(system)
  const token = await tokens.make('Quiet-One', [scope('*', 'pull', 'push', 'delete')])
  const next = await tokens.rotate(token.id, '?overlap=3600')
  for (const credentials of [token, next]) {
    await pushSmallImage(system, credentials, 'team/app', 'v1')
    const jwt = await tokenFor(system, credentials, 'repository:team/app:pull')
    const doors = [
      '/v2/_catalog',
      '/v2/team/app/manifests/v1',
      '/image-manager/api/v1/repositories',
      '/user',
      '/containerregistries/registries',
    ]
    for (const door of doors) {
      for (const authorization of [basic(credentials), `Bearer ${jwt}`, `Bearer ${credentials.password}`]) {
        const response = await fetch(system.url + door, { headers: { authorization } })
        t.notOk(
          (await response.text()).includes(credentials.password),
          `${door}: the response does not have the password`,
        )
      }
    }
  }
  // Waits until the last use of the token is recorded. A regular stop then writes all pending data.
  const isRecorded = async () => 'lastUsedDate' in (await tokens.get(token.id)).metadata
  await until(isRecorded, 'the last use of the token is recorded')
  await system.stop()
  const texts = [token, next].flatMap((credentials) => {
    const auth = basic(credentials).slice('Basic '.length)
    return [
      credentials.password,
      credentials.password.slice(4, 34),
      auth,
      Buffer.from(credentials.password).toString('hex'),
    ]
  })
  const output = system.output()
  const line = '"req":{"method":"GET","path":"/v2/team/app/manifests/v1"'
  const lines = await search(system.dataDir, [line])
  t.ok(output.includes(line) || lines.found.some((name) => name.startsWith('logs/')), 'a log exists')
  t.strictSame(
    texts.filter((text) => output.includes(text)),
    [],
    'the output does not have the password',
  )
  const named = await search(system.dataDir, ['Quiet-One'])
  t.ok(
    named.found.some((name) => /^(database|postgres)\//.test(name)),
    'the token is in the database',
  )
  t.strictSame(
    (await search(system.dataDir, texts)).found,
    [],
    `the password is in none of ${named.looked.length} files, including the database and all logs`,
  )
})
