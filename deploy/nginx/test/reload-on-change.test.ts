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
/** A program in place of nginx that prints a line for each SIGHUP. */
const NGINX =
  "process.on('SIGHUP', () => console.log('reload')); setInterval(() => {}, 1000); console.log('runs')"

/** Replaces a file atomically: the script may read it at any time. */
function put(file: string, text: string, mode = 0o644) {
  writeFileSync(`${file}.new`, text, { mode })
  renameSync(`${file}.new`, file)
}

function linesOf(file: string): number {
  return existsSync(file) ? readFileSync(file, 'utf8').split('\n').length - 1 : 0
}

/** Starts the script with a check every 50 ms, and with files that take the place of DNS names. */
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
  for (const name of ['crt', 'key']) put(file(name), 'first')
  const nginx = spawn(process.execPath, ['--eval', NGINX], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  nginx.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
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
    // Only now: the script writes to this folder until it is killed.
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  t.same(await once(script, 'exit'), [0, null], 'the script returns and continues in the background')
  const reloads = () => output.split('reload').length - 1
  const until = async (isSo: () => boolean) => {
    const deadline = Date.now() + 20_000
    while (!isSo() && Date.now() < deadline) await sleep(20)
  }
  return {
    file,
    reloads,
    /** Waits until nginx has reloaded that many times, or 20 s. */
    reloaded: (times: number) => until(() => reloads() >= times),
    /** Waits until the script has completed another check. */
    async checked() {
      const twice = 2 * 3
      rmSync(file('looked'), { force: true })
      await until(() => linesOf(file('looked')) > twice)
    },
  }
}

t.test(
  'the script reloads nginx when the certificate or an address has changed, and only then',
  async (t) => {
    const { file, reloads, reloaded, checked } = await startScript(t)
    await checked()
    t.equal(reloads(), 0, 'nothing changed')

    put(file('crt'), 'another')
    await reloaded(1)
    t.equal(reloads(), 1, 'the certificate was renewed')

    put(file('names', 'image-manager'), '10.0.0.9 image-manager\n')
    await reloaded(2)
    t.equal(reloads(), 2, 'a service has another address')

    put(file('names', 'registry-proxy'), '10.0.0.7 registry-proxy\n10.0.0.4 registry-proxy\n')
    await reloaded(3)
    t.equal(reloads(), 3, 'a service has another replica')
    put(file('names', 'registry-proxy'), '10.0.0.4 registry-proxy\n10.0.0.7 registry-proxy\n')
    await checked()
    t.equal(reloads(), 3, 'the order of addresses changed')

    rmSync(file('names', 'auth-service'))
    await checked()
    t.equal(reloads(), 3, 'a name cannot be resolved')
    put(file('key'), 'another')
    await reloaded(4)
    t.equal(reloads(), 4, 'the certificate was renewed while a name cannot be resolved')
    put(file('names', 'auth-service'), '10.0.0.2 auth-service\n')
    await checked()
    t.equal(reloads(), 4, 'the name resolves to the same address as before')
  },
)
