import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { freePort } from '../free-port.ts'

const PROGRAM = `
  import { freePort } from ${JSON.stringify(new URL('../free-port.ts', import.meta.url).href)}
  const ports = await Promise.all(Array.from({ length: 60 }, () => freePort()))
  process.stdout.write(JSON.stringify(ports))
  // The ports stay chosen while other processes choose theirs.
  setTimeout(() => undefined, 1500)
`

t.test('processes that choose ports at the same time never choose the same one', async (t) => {
  const cwd = fileURLToPath(new URL('..', import.meta.url))
  const choose = () =>
    promisify(execFile)(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd })
  const outputs = await Promise.all(Array.from({ length: 6 }, choose))
  const ports = outputs.flatMap(({ stdout }) => JSON.parse(stdout) as number[])
  t.equal(ports.length, 360)
  t.equal(new Set(ports).size, 360)
  t.ok(ports.every((port) => port > 10_000 && port < 32_000))
})

t.test('a process can choose more ports than a block has', async (t) => {
  const ports = new Set<number>()
  for (let count = 0; count < 150; count += 1) ports.add(await freePort())
  t.equal(ports.size, 150)
})
