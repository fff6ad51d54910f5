import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'
import t from 'tap'

const SCRIPT = fileURLToPath(new URL('../reload-on-change.sh', import.meta.url))
/** Stands for nginx: says when it is told to read its configuration again. */
const NGINX =
  "process.on('SIGHUP', () => console.log('reload')); setInterval(() => {}, 1000); console.log('runs')"

/** Replaces a file whole, as what is read at any time must be. */
function put(file: string, text: string, mode = 0o644) {
  writeFileSync(`${file}.new`, text, { mode })
  renameSync(`${file}.new`, file)
}

function linesOf(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
}

/** The script beside what stands for nginx, looking every 50 ms, with names that are files here. */
async function startScript(t: Test) {
  const folder = mkdtempSync(join(tmpdir(), 'reload-on-change-'))
  const file = (...path: string[]) => join(folder, ...path)
  for (const name of ['bin', 'names']) mkdirSync(file(name))
  put(file('bin', 'sleep'), '#!/bin/sh\nexec /bin/sleep 0.05\n', 0o755)
  put(
    file('bin', 'getent'),
    `#!/bin/sh\necho x >>${file('looked')}\n[ "$1" = hosts ] && cat ${file('names')}/"$2" 2>/dev/null\n`,
    0o755,
  )
  for (const [name, address] of [
    ['auth-service', '10.0.0.2'],
    ['image-manager', '10.0.0.3'],
    ['registry-proxy', '10.0.0.4'],
    ['registry', '10.0.0.5'],
  ] as const) {
    put(file('names', name), `${address} ${name}\n`)
  }
  for (const name of ['crt', 'key']) put(file(name), 'the first')
  const nginx = spawn(process.execPath, ['--eval', NGINX], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  nginx.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  await once(nginx.stdout, 'data')
  put(file('pid'), `${nginx.pid}\n`)
  const script = spawn('sh', [SCRIPT], {
    detached: true,
    stdio: 'ignore',
    env: {
      PATH: `${file('bin')}:${process.env['PATH']}`,
      AUTH_SERVICE_SERVERS: 'server auth-service:8000 max_fails=0; server auth-service:8000 max_fails=0;',
      IMAGE_MANAGER_SERVERS: 'server image-manager:8000 max_fails=0;',
      REGISTRY_PROXY_SERVERS: 'server registry-proxy:8000;',
      REGISTRY_SERVERS: 'server registry:5000;',
      TLS_CERTIFICATE: file('crt'),
      TLS_CERTIFICATE_KEY: file('key'),
      NGINX_PID_FILE: file('pid'),
    },
  })
  t.teardown(() => {
    process.kill(-script.pid!, 'SIGKILL')
    nginx.kill('SIGKILL')
    // Not before: the script goes on writing there.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  t.same(await once(script, 'exit'), [0, null], 'it goes on in the background')
  const reloads = () => said.split('reload').length - 1
  const until = async (isSo: () => boolean) => {
    const deadline = Date.now() + 20_000
    while (!isSo() && Date.now() < deadline) await sleep(20)
  }
  return {
    file,
    reloads,
    /** Waits until it reloaded so often, or did not. */
    reloaded: (times: number) => until(() => reloads() >= times),
    /** Waits until it has looked at all names once more, from the beginning. */
    async looked() {
      const twice = 2 * 3
      rmSync(file('looked'), { force: true })
      await until(() => linesOf(file('looked')) > twice)
    },
  }
}

t.test('nginx is told when its certificate or an address changed, and not otherwise', async (t) => {
  const { file, reloads, reloaded, looked } = await startScript(t)
  await looked()
  t.equal(reloads(), 0, 'nothing changed')

  put(file('crt'), 'another')
  await reloaded(1)
  t.equal(reloads(), 1, 'a renewed certificate')

  put(file('names', 'image-manager'), '10.0.0.9 image-manager\n')
  await reloaded(2)
  t.equal(reloads(), 2, 'a service that is somewhere else')

  put(file('names', 'registry-proxy'), '10.0.0.7 registry-proxy\n10.0.0.4 registry-proxy\n')
  await reloaded(3)
  t.equal(reloads(), 3, 'one more of a service')
  put(file('names', 'registry-proxy'), '10.0.0.4 registry-proxy\n10.0.0.7 registry-proxy\n')
  await looked()
  t.equal(reloads(), 3, 'their order says nothing')

  rmSync(file('names', 'auth-service'))
  await looked()
  t.equal(reloads(), 3, 'who is away for the moment')
  put(file('key'), 'another')
  await reloaded(4)
  t.equal(reloads(), 4, 'and the certificate is looked at all the same')
  put(file('names', 'auth-service'), '10.0.0.2 auth-service\n')
  await looked()
  t.equal(reloads(), 4, 'it is back where it was')
})
