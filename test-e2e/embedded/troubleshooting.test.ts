import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import t from 'tap'
import { freePort } from '../../deploy/local/free-port.ts'
import { ensureTls } from '../../deploy/local/stack/tls.ts'
import { dockerIsMissing, startDockerEngine } from '../harness/docker-engine.ts'
import { runCommand } from '../harness/run-command.ts'
import type { CommandError } from '../harness/run-command.ts'
import { basic, startEmbedded } from '../harness/system.ts'

const GUIDE = readFileSync(new URL('../../docs/troubleshooting.md', import.meta.url), 'utf8')
const NGINX_ERRORS = readFileSync(
  new URL('../../deploy/nginx/templates/http-errors.conf.template', import.meta.url),
  'utf8',
)

/** The errors that the guide explains, as patterns: `…` matches any text. */
const explained = [...GUIDE.matchAll(/^### `(.+)`$/gm)].map(([, text = '']) => {
  const pattern = text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`).replaceAll('…', '.*')
  return { text, pattern: new RegExp(pattern) }
})

/** Returns nginx's response for a status at /v2/, from its configuration. */
function nginxResponse(status: string): string {
  const body = NGINX_ERRORS.split('\n').find((line) => line.trim().startsWith(`${status} '{"errors"`))
  return /'(.*)'/.exec(body ?? '')?.[1] ?? ''
}

/** Returns an address of this machine that is not loopback: docker treats loopback addresses as insecure registries. */
function outsideAddress(): string | undefined {
  const addresses = Object.values(networkInterfaces()).flat()
  return addresses.find((entry) => entry?.family === 'IPv4' && !entry.internal)?.address
}

async function listen(t: Test, server: Server, host: string): Promise<number> {
  server.listen(0, host)
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

/** Starts a TLS server with a certificate for these hosts from an unknown authority. */
async function listenWithTls(t: Test, address: string, hosts: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'unknown-authority-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const files = await ensureTls(folder, hosts)
  const tls = { cert: readFileSync(files.certificate), key: readFileSync(files.key) }
  return `${address}:${await listen(t, createTlsServer(tls), address)}`
}

async function listenAsNginx(t: Test, status: number, pattern: string): Promise<string> {
  const errorBody = nginxResponse(pattern)
  t.match(JSON.parse(errorBody), { errors: [{ code: String, message: String }] })
  const server = createServer((_request, response) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(errorBody),
  )
  return `localhost:${await listen(t, server, '127.0.0.1')}`
}

const missing =
  (await dockerIsMissing()) || (outsideAddress() === undefined && 'this machine has only loopback addresses')

t.test('the troubleshooting guide explains every error that docker prints', { skip: missing }, async (t) => {
  const address = outsideAddress() ?? ''
  const system = await startEmbedded(t, { env: { HOST: '0.0.0.0' } })
  const jane = await system.createUser('jane', ['team'])
  await system.createUser('forgetful', [])
  const { docker } = await startDockerEngine(t)
  const { host } = system
  const empty = await runCommand('tar', ['--create', '--files-from=/dev/null'])
  await docker(['import', '-', `${host}/other/app`], { input: empty.stdout })

  const found = new Set<string>()
  const isExplained = async (...[args, input]: [string[], string?]) => {
    const error = await docker(args, { input }).catch((error: CommandError) => error)
    const explanation = explained.find(({ pattern }) => pattern.test(error.stderr))
    t.ok(explanation, `docker ${args.join(' ')}: ${error.stderr.trim().split('\n').at(-1)}`)
    found.add(explanation?.text ?? '')
  }
  const login = (username: string) => ['login', '--username', username, '--password-stdin', host]

  await isExplained(['pull', `${host}/team/app`])
  await isExplained(login('jane'), 'not this one')
  await docker(login('jane'), { input: jane.password })
  await isExplained(['push', `${host}/other/app`])
  await isExplained(['pull', `${host}/team/app`])
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const authorization = basic({ username: 'forgetful', password: 'not this one' })
    await fetch(`${system.url}/auth/v2/token`, { headers: { authorization } })
  }
  await isExplained(login('forgetful'), 'not this one')

  await isExplained(['pull', `${await listenAsNginx(t, 429, '429')}/team/app`])
  await isExplained(['pull', `${await listenAsNginx(t, 503, '~^50[23]$')}/team/app`])
  await isExplained(['pull', `${address}:${host.split(':')[1]}/team/app`])
  await isExplained(['pull', `${await listenWithTls(t, address, [address])}/team/app`])
  await isExplained(['pull', `${await listenWithTls(t, address, ['127.0.0.1'])}/team/app`])
  await isExplained(['pull', `localhost:${await freePort()}/team/app`])
  await isExplained(['pull', 'registry.invalid/team/app'])
  await isExplained(['pull', `${host}/Team/app`])
  t.same(
    [...found].toSorted(),
    explained.map(({ text }) => text).toSorted(),
    'every explained error was tested',
  )
})
